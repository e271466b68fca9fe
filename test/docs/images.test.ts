// The pictures of the pages: what a reader with whatever colours, or without eyes, gets of them. What only a browser can
// tell, whether their words fit, is in images.long.test.ts.

import { readFileSync, readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { durations } from '../../src/config/quantities.ts';
import { PAGES, ROOT } from './pages.ts';

const FOLDER = 'docs/images';
const NAMES = readdirSync(join(ROOT, FOLDER)).filter((name) => name.endsWith('.svg'));

/** Shown by the pages, with the words in place of each. */
const SHOWN = PAGES.flatMap(({ file, prose }) =>
  Array.from(prose.matchAll(/!\[([^\]]*)\]\(([^)\s]+\.svg)\)/g), ([, words = '', target = '']) => {
    return { words, path: normalize(join(file, '..', target)) };
  }),
);

/** Of each class of words, what it may stand on. */
const WORDS = ['text', '.dim', '.alarm'] as const;
const GROUNDS = ['.page', '.box', '.ours'] as const;

/** Selector → fill, as it is in the light, and as it is in the dark. */
function fillsOf(svg: string): readonly (readonly [scheme: string, fills: ReadonlyMap<string, string>])[] {
  const [light = '', dark = ''] = (/<style>([^]*?)<\/style>/.exec(svg)?.[1] ?? '').split(
    '@media (prefers-color-scheme: dark)',
  );
  const read = (css: string, onto: ReadonlyMap<string, string>): ReadonlyMap<string, string> => {
    const found = Array.from(css.matchAll(/([^{}]+)\{[^{}]*?fill: (#[\da-f]{6})/g), ([, selectors = '', fill = '']) =>
      selectors.split(',').map((each) => [each.trim(), fill] as const),
    );
    return new Map([...onto, ...found.flat()]);
  };
  const inTheLight = read(light, new Map());
  return [
    ['light', inTheLight],
    ['dark', read(dark.replace('{', ''), inTheLight)],
  ];
}

/** As WCAG 2 computes it. */
function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [a, b].map(luminance).toSorted((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

test('every picture is on a page, with words in its place', () => {
  expect(new Set(SHOWN.map(({ path }) => path))).toEqual(new Set(NAMES.map((name) => `${FOLDER}/${name}`)));
  for (const { words } of SHOWN) expect(words.length).toBeGreaterThan(60);
});

describe.each(NAMES)('%s', (name) => {
  const svg = readFileSync(join(ROOT, FOLDER, name), 'utf8');

  test('has words as words, a title and a description, and nothing from elsewhere', () => {
    const [, labels = ''] = /aria-labelledby="([^"]*)"/.exec(svg) ?? [];
    for (const id of labels.split(' ')) expect(svg).toMatch(new RegExp(`<(?:title|desc) id="${id}">[^<]{10,}<`));
    expect(labels.split(' ').length).toBe(2);
    expect(svg.match(/<text /g)?.length).toBeGreaterThan(8);
    expect(svg).not.toMatch(
      /<(?:script|image|foreignObject|use|a)\b|\bon\w+=|href|@import|url\((?!#)|https?:(?!\/\/www\.w3\.org\/2000\/svg")/,
    );
    expect(Buffer.byteLength(svg)).toBeLessThan(16 * 1024);
  });

  test('can be read in the light and in the dark', () => {
    for (const [scheme, fills] of fillsOf(svg)) {
      expect([fills.has('text'), fills.has('.page')]).toEqual([true, true]);
      for (const word of WORDS.filter((each) => fills.has(each))) {
        for (const ground of GROUNDS.filter((each) => fills.has(each))) {
          const ratio = contrast(fills.get(word) ?? '', fills.get(ground) ?? '');
          expect([scheme, word, ground, ratio >= 4.5]).toEqual([scheme, word, ground, true]);
        }
      }
    }
    const pages = fillsOf(svg).map(([, fills]) => fills.get('.page'));
    expect(new Set(pages).size).toBe(2);
    for (const [, size] of svg.matchAll(/font(?:-size)?: ([\d.]+)px/g)) expect(Number(size)).toBeGreaterThanOrEqual(12);
  });
});

test('times in the pictures are the defaults', () => {
  const named: Readonly<Record<string, string>> = {
    '15 s': 'heartbeat',
    '100 ms': 'streams.primeAfter',
    '30 s': 'reconnect.max',
  };
  const said = NAMES.flatMap((name) => {
    const words = Array.from(
      readFileSync(join(ROOT, FOLDER, name), 'utf8').matchAll(/<text [^>]*>([^<]*)/g),
      ([, text]) => text,
    );
    return words.flatMap((text) => text?.match(/\d+ (?:ms|s|min)\b/g) ?? []);
  });

  expect(new Set(said)).toEqual(new Set(Object.keys(named)));
  for (const [time, key] of Object.entries(named)) {
    const standard = KEYS.find(({ name }) => name === key)?.node.default;
    expect([key, durations(0).parse(time)]).toEqual([key, durations(0).parse(String(standard))]);
  }
});
