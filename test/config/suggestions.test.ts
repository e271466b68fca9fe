import { Command, CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { fromEnvironment } from '../../src/config/assignments.ts';
import { keysAt, KEYS } from '../../src/config/keys.ts';
import { nearest } from '../../src/config/nearest.ts';
import { validate } from '../../src/config/validate.ts';
import { COMMANDS, commandFault, usageError, withConfigFlags, withFileFlag } from '../../src/verbs/flags.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Every word that differs by one letter left out, put in, replaced, or swapped with the next. */
function typosOf(word: string): Record<'deletion' | 'insertion' | 'substitution' | 'transposition', string[]> {
  const at = Array.from(word, (_, index) => index);
  const cut = (index: number, instead: string, length = 1): string =>
    word.slice(0, index) + instead + word.slice(index + length);
  return {
    deletion: at.map((index) => cut(index, '')),
    insertion: [...at, word.length].flatMap((index) => Array.from(LETTERS, (letter) => cut(index, letter, 0))),
    substitution: at.flatMap((index) => Array.from(LETTERS, (letter) => cut(index, letter))),
    transposition: at.slice(1).map((index) => cut(index - 1, `${word[index]}${word[index - 1]}`, 2)),
  };
}

/** So many of them, drawn by a seed, the same ones every time. */
function drawn(typos: readonly string[], count: number): string[] {
  let seed = 20_261;
  const left = [...new Set(typos)];
  const draw = (): string => {
    seed = (seed * 48_271) % 2_147_483_647;
    return left.splice(seed % left.length, 1)[0] ?? '';
  };
  return Array.from({ length: Math.min(count, left.length) }, draw);
}

const SECTIONS: readonly (readonly (string | number)[])[] = [
  [],
  ['upstreams', 0],
  ['upstreams', 0, 'legacy'],
  ...['links', 'timeouts', 'limits', 'streams', 'reconnect'].map((name) => ['upstreams', 0, name]),
  ...['listen', 'links', 'timeouts', 'limits', 'streams', 'reconnect', 'drain', 'log'].map((name) => [name]),
  ['inbound'],
  ['inbound', 'bearer'],
  ['inbound', 'bearer', 'keys', 0],
  ['inbound', 'jwt'],
];

/** A file with nothing but this key. */
function fileWith(section: readonly (string | number)[], key: string): unknown {
  return section.reduceRight<unknown>((inner, step) => (step === 0 ? [inner] : { [step]: inner }), { [key]: 1 });
}

/** What is suggested for a key of a file, as the operator sees it. */
function suggestedKey(section: readonly (string | number)[], typo: string): string | undefined {
  const path = [...section, typo];
  const { problems } = validate(fileWith(section, typo));
  return problems?.find((each) => each.path.length === path.length && each.path.every((step, at) => step === path[at]))
    ?.suggestion;
}

const root = withFileFlag(withConfigFlags(new Command('serve')));
const flags = root.options.flatMap(({ long }) => (long == null ? [] : [long]));
const variables = KEYS.flatMap(({ variable }) => (variable === undefined ? [] : [variable]));

interface Kind {
  readonly words: readonly string[];
  /** What stands before every one of them, and is taken to be right. */
  readonly before?: string;
  readonly suggested: (typo: string) => string | null | undefined;
}

const KINDS: readonly (readonly [what: string, kinds: readonly Kind[]])[] = [
  ['keys', SECTIONS.map((section) => ({ words: keysAt(section), suggested: (typo) => suggestedKey(section, typo) }))],
  [
    'flags',
    [
      {
        words: [...new Set(flags)],
        before: '--',
        suggested: (typo) => {
          const error = new CommanderError(1, 'commander.unknownOption', `error: unknown option '${typo}'`);
          const said = usageError(error, root, []);
          return /did you mean (--\S+)\?/.exec(said)?.[1];
        },
      },
    ],
  ],
  [
    'variables',
    [
      {
        words: [...new Set(variables)],
        before: 'CAUSEWAY_',
        suggested: (typo) => fromEnvironment({ env: { [typo]: '1' }, readFile: () => '' }).faults[0]?.suggestion,
      },
    ],
  ],
  ['verbs', [{ words: COMMANDS, suggested: (typo) => /did you mean (\S+)\?/.exec(commandFault(typo) ?? '')?.[1] }]],
];

test.each(KINDS.map(([what, kinds]) => ({ what, kinds })))(
  'of single-letter typos over all $what at least 90 in 100 get the right suggestion',
  ({ what, kinds }) => {
    const outcome: Record<string, { right: number; all: number }> = {};
    for (const { words, before = '', suggested } of kinds) {
      for (const word of words) {
        for (const [how, typos] of Object.entries(typosOf(word.slice(before.length)))) {
          const count = (outcome[how] ??= { right: 0, all: 0 });
          for (const typo of drawn(typos, 6).map((each) => before + each)) {
            // What is a word itself, or nothing any more, cannot be recognised.
            if (words.includes(typo) || typo === before) continue;
            count.all++;
            if (suggested(typo) === word) count.right++;
          }
        }
      }
    }

    const shares = Object.entries(outcome).map(([how, { right, all }]) => [how, right / all, all] as const);
    const sum = Object.values(outcome).reduce(
      (total, { right, all }) => ({ right: total.right + right, all: total.all + all }),
      { right: 0, all: 0 },
    );
    const text = [['all', sum.right / sum.all, sum.all] as const, ...shares].map(
      ([how, share, all]) => `${how} ${(100 * share).toFixed(2)} % of ${all}`,
    );
    console.info(`typos in ${what}: ${text.join(', ')}`);
    for (const [how, share] of shares) expect(share, how).toBeGreaterThan(0.8);
    expect(sum.right / sum.all).toBeGreaterThanOrEqual(0.9);
  },
);

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
