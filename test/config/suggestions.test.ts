import { expect, test } from 'vitest';
import { keysAt, KEYS } from '../../src/config/keys.ts';
import { nearest } from '../../src/config/nearest.ts';
import { validate } from '../../src/config/validate.ts';

/** Every word that differs by one letter left out, put in, replaced, or swapped with the next. */
function typosOf(word: string, letters = 'abcdefghijklmnopqrstuvwxyz'): string[] {
  const at = Array.from(word, (_, index) => index);
  const cut = (index: number, instead: string, length = 1): string =>
    word.slice(0, index) + instead + word.slice(index + length);
  const typos = [
    ...at.map((index) => cut(index, '')),
    ...[...at, word.length].flatMap((index) => Array.from(letters, (letter) => cut(index, letter, 0))),
    ...at.flatMap((index) => Array.from(letters, (letter) => cut(index, letter))),
    ...at.slice(1).map((index) => cut(index - 1, `${word[index]}${word[index - 1]}`, 2)),
  ];
  return [...new Set(typos)].filter((typo) => typo !== word && typo !== '');
}

const SECTIONS: readonly (readonly (string | number)[])[] = [
  [],
  ['upstreams', 0],
  ['upstreams', 0, 'legacy'],
  ...['listen', 'links', 'timeouts', 'limits', 'streams', 'reconnect', 'drain', 'log'].map((name) => [name]),
];

test('of single-letter typos over all keys at least 90 % get the right suggestion', () => {
  const outcome = { right: 0, wrong: 0 };
  for (const section of SECTIONS) {
    const known = keysAt(section);
    for (const key of known) {
      for (const typo of typosOf(key).filter((each) => !known.includes(each))) {
        outcome[nearest(typo, known) === key ? 'right' : 'wrong']++;
      }
    }
  }

  expect(outcome.right + outcome.wrong).toBeGreaterThan(20_000);
  expect(outcome.right / (outcome.right + outcome.wrong)).toBeGreaterThan(0.9);
});

test('the same for flags', () => {
  const flags = [...new Set(KEYS.flatMap(({ flag }) => (flag === undefined ? [] : [flag])))];
  let [right, all] = [0, 0];
  for (const flag of flags) {
    for (const typo of typosOf(flag, 'aeimx').filter((each) => !flags.includes(each))) {
      all++;
      if (nearest(typo, flags) === flag) right++;
    }
  }

  expect(right / all).toBeGreaterThan(0.9);
});

test('a key that stands there already is not what was meant by another', () => {
  const { problems } = validate({ upstreams: [{ url: 'http://a/sse' }], links: { min: 1, mox: 3, maxTotal: 3 } });

  expect(problems).toMatchObject([{ path: ['links', 'mox'], at: 'key', suggestion: 'max' }]);
});

test.each([
  ['idle_timeout', 'idleTimeout'],
  ['IDLETIMEOUT', 'idleTimeout'],
  ['idle-timeout', 'idleTimeout'],
  ['quux', null],
  ['', null],
])('%j among the keys of links is %j', (word, meant) => {
  expect(nearest(word, keysAt(['links']))).toBe(meant);
});

test('a part of a longer name is recognised, and a longer form of a name', () => {
  expect(nearest('logging', keysAt([]))).toBe('log');
  expect(nearest('idle-timeout', ['timeouts-headers', 'links-idle-timeout'])).toBe('links-idle-timeout');
});
