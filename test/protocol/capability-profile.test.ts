import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EMPTY_PROFILE,
  PROFILE_MEMBERS,
  declaredCapabilities,
  profileOf,
} from '../../src/protocol/capability-profile.ts';

/** All that a bridge could ever carry. */
const ALL = new Set(PROFILE_MEMBERS);
const EVERYTHING = {
  roots: { listChanged: true },
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
};

function keyOf(capabilities: unknown): string {
  return profileOf(capabilities, ALL).key;
}

test.each<[what: string, capabilities: unknown, key: string]>([
  ['nothing', {}, ''],
  ['roots', { roots: {} }, 'roots'],
  ['roots that tell of changes', { roots: { listChanged: true } }, 'roots'],
  ['sampling', { sampling: {} }, 'sampling'],
  ['sampling with tools', { sampling: { tools: {} } }, 'sampling+sampling.tools'],
  ['sampling with context', { sampling: { context: {} } }, 'sampling+sampling.context'],
  ['elicitation of 2025-06-18', { elicitation: {} }, 'elicitation.form'],
  ['elicitation by form', { elicitation: { form: {} } }, 'elicitation.form'],
  ['elicitation by URL only', { elicitation: { url: {} } }, 'elicitation.url'],
  ['elicitation by both', { elicitation: { url: {}, form: {} } }, 'elicitation.form+elicitation.url'],
  ['elicitation by something new', { elicitation: { voice: {} } }, 'elicitation.form'],
  ['everything', EVERYTHING, PROFILE_MEMBERS.join('+')],
  [
    'everything in another order',
    Object.fromEntries(Object.entries(EVERYTHING).toReversed()),
    PROFILE_MEMBERS.join('+'),
  ],
  ['members that are no objects', { roots: true, sampling: 1, elicitation: 'form' }, ''],
  ['members that are null', { roots: null, sampling: null, elicitation: null }, ''],
  ['members that are arrays', { roots: [], sampling: [{}], elicitation: [] }, ''],
  [
    'parts that are no objects',
    { sampling: { tools: true, context: [] }, elicitation: { url: 1 } },
    'sampling+elicitation.form',
  ],
  ['members in other letters', { Roots: {}, SAMPLING: {} }, ''],
  ['tasks', { tasks: { requests: {} } }, ''],
])('a client that declares %s', (_what, capabilities, key) => {
  expect(keyOf(capabilities)).toBe(key);
});

test.each([undefined, null, true, 7, 'roots', [], [{ roots: {} }], () => {}])(
  'capabilities that are no object (%s) are none',
  (capabilities) => {
    expect(profileOf(capabilities, ALL)).toBe(EMPTY_PROFILE);
  },
);

test('what the bridge cannot carry is not declared', () => {
  expect(profileOf(EVERYTHING, new Set(['roots', 'elicitation.form'])).key).toBe('roots+elicitation.form');
  expect(profileOf({ sampling: {} }, new Set(['roots']))).toBe(EMPTY_PROFILE);
});

test('no invention of a client makes another key: 1,000 random members', () => {
  const anything = fc.dictionary(fc.string(), fc.jsonValue());
  const keys = new Set<string>();

  fc.assert(
    fc.property(anything, anything, anything, (experimental, extensions, strangers) => {
      const unknown = Object.fromEntries(
        Object.entries(strangers).filter(([name]) => !Object.hasOwn(EVERYTHING, name)),
      );
      keys.add(
        keyOf({ ...unknown, experimental, extensions, elicitation: {}, roots: { ...unknown, listChanged: true } }),
      );
    }),
    { numRuns: 1000 },
  );

  expect([...keys]).toEqual(['roots+elicitation.form']);
});

test('there are no more keys than subsets of the closed set', () => {
  const part = fc.constantFrom(undefined, null, true, {}, [], { tools: {} }, { url: {} }, { form: {}, context: {} });
  const member = fc.subarray([...PROFILE_MEMBERS]).map((members) => members.join('+'));
  const possible = new Set(fc.sample(member, 5000));

  fc.assert(
    fc.property(part, part, part, (roots, sampling, elicitation) => {
      expect(possible).toContain(keyOf({ roots, sampling, elicitation }));
    }),
  );
});

describe('a prototype lends no capability', () => {
  test.each<[what: string, capabilities: unknown]>([
    ['__proto__ in the text', JSON.parse('{"__proto__":{"roots":{},"sampling":{}}}')],
    ['__proto__ in a member', JSON.parse('{"x":{"__proto__":{"roots":{}}}}')],
    ['constructor in the text', JSON.parse('{"constructor":{"prototype":{"roots":{}}}}')],
    ['an inherited member', Object.create({ roots: {} })],
  ])('%s', (_what, capabilities) => {
    expect(keyOf(capabilities)).toBe('');
    expect(({} as { roots?: unknown }).roots).toBeUndefined();
  });

  test('in the parts of a member', () => {
    expect(keyOf(JSON.parse('{"sampling":{"__proto__":{"tools":{}}}}'))).toBe('sampling');
    expect(keyOf(JSON.parse('{"elicitation":{"__proto__":{"url":{}}}}'))).toBe('elicitation.form');
  });
});

describe('what we declare upstream is exactly the profile', () => {
  test.each<[capabilities: object]>([
    [{}],
    [{ roots: {} }],
    [{ sampling: {} }],
    [{ sampling: { tools: {} } }],
    [{ sampling: { context: {} } }],
    [{ elicitation: {} }],
    [{ elicitation: { url: {} } }],
    [{ roots: {}, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } }],
  ])('%j', (capabilities) => {
    expect(declaredCapabilities(profileOf(capabilities, ALL))).toEqual(capabilities);
  });

  test('and read back it is the same profile, whatever was declared', () => {
    const part = fc.option(
      fc.constantFrom({}, { tools: {} }, { url: {} }, { form: {}, url: {} }, { tools: {}, context: {} }),
    );
    fc.assert(
      fc.property(part, part, part, fc.subarray([...PROFILE_MEMBERS]), (roots, sampling, elicitation, carried) => {
        const profile = profileOf({ roots, sampling, elicitation }, new Set([...carried, 'sampling']));
        expect(keyOf(declaredCapabilities(profile))).toBe(profile.key);
      }),
    );
  });
});
