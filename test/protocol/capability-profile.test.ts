import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EMPTY_PROFILE,
  FULL_PROFILE,
  PROFILE_MEMBERS,
  declaredCapabilities,
  profileOf,
  sessionCapabilities,
} from '../../src/protocol/capability-profile.ts';
import { SERVED_REVISIONS, type ServedRevision } from '../../src/protocol/eras.ts';
import { type Tree, treeOf } from './two-readers.ts';

const EVERYTHING = {
  roots: { listChanged: true },
  sampling: { tools: {}, context: {} },
  elicitation: { form: {}, url: {} },
};

function keyOf(capabilities: unknown, revision: ServedRevision = '2025-11-25'): string {
  return profileOf(capabilities, revision).key;
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
    expect(profileOf(capabilities, '2025-11-25')).toBe(EMPTY_PROFILE);
  },
);

describe('a client cannot be asked for what its revision does not have', () => {
  test.each<[revision: ServedRevision, capabilities: object, key: string]>([
    ['2025-03-26', EVERYTHING, 'roots+sampling'],
    ['2025-06-18', EVERYTHING, 'roots+sampling+elicitation.form'],
    ['2025-11-25', EVERYTHING, PROFILE_MEMBERS.join('+')],
    ['2025-03-26', { elicitation: {} }, ''],
    ['2025-06-18', { elicitation: {} }, 'elicitation.form'],
    // There the one mode has no name, so whatever stands inside says nothing.
    ['2025-06-18', { elicitation: { url: {} } }, 'elicitation.form'],
    ['2025-06-18', { sampling: { tools: {} } }, 'sampling'],
    ['2025-03-26', { sampling: { context: {} } }, 'sampling'],
  ])('%s: %j [B23]', (revision, capabilities, key) => {
    expect(keyOf(capabilities, revision)).toBe(key);
  });
});

test('the full profile is that of a client of the latest revision which declares everything', () => {
  expect(FULL_PROFILE).toEqual(profileOf(EVERYTHING, '2025-11-25'));
  expect(declaredCapabilities(FULL_PROFILE)).toEqual({ ...EVERYTHING, roots: {} });
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
    expect(declaredCapabilities(profileOf(capabilities, '2025-11-25'))).toEqual(capabilities);
  });

  test('and read back it is the same profile, whatever was declared', () => {
    const part = fc.option(
      fc.constantFrom({}, { tools: {} }, { url: {} }, { form: {}, url: {} }, { tools: {}, context: {} }),
    );
    fc.assert(
      fc.property(part, part, part, fc.constantFrom(...SERVED_REVISIONS), (roots, sampling, elicitation, revision) => {
        const profile = profileOf({ roots, sampling, elicitation }, revision);
        expect(keyOf(declaredCapabilities(profile))).toBe(profile.key);
      }),
    );
  });
});

describe('what the link of a session declares are the client’s own bytes', () => {
  const said = (text: string, revision: ServedRevision): string =>
    Buffer.from(sessionCapabilities(Buffer.from(text), revision)).toString();
  const STRANGE =
    '{ "roots":{"listChanged" : true}, "experimental":{"n":9007199254740993,"x":1.0,"__proto__":{}},"\\ud800":[] }';
  const ALL =
    '{"roots":{},"sampling":{"tools":{"a":1.0}, "context":{}},"elicitation":{"form":{},"url":{}},"tasks":{"list":{}}}';

  test.each(SERVED_REVISIONS)('whatever else stands in them: %s', (revision) => {
    expect(said(STRANGE, revision)).toBe(STRANGE);
    expect(said('{}', revision)).toBe('{}');
  });

  test.each<[revision: ServedRevision, text: string, after: string]>([
    ['2025-11-25', ALL, ALL.replace(',"tasks":{"list":{}}', '')],
    ['2025-11-25', '{"tasks":{}}', '{}'],
    ['2025-11-25', '{ "\\u0074asks" : {} , "a":1.0}', '{ "a":1.0}'],
    ['2025-11-25', '{"x":{"tasks":{}},"tools":["tasks"]}', '{"x":{"tasks":{}},"tools":["tasks"]}'],
    ['2025-11-25', '{"tasks":{},"a":1,"tasks":null}', '{"a":1}'],
    ['2025-06-18', ALL, '{"roots":{},"sampling":{},"elicitation":{"form":{}}}'],
    ['2025-06-18', '{"elicitation":{"url":{}},"sampling":{"x":1,"tools":{}}}', '{"elicitation":{},"sampling":{"x":1}}'],
    ['2025-06-18', '{"elicitation":true,"sampling":[1.0]}', '{"elicitation":true,"sampling":[1.0]}'],
    ['2025-06-18', '{"\\u0065licitation":{"\\u0075rl":{},"a":1.0}}', '{"\\u0065licitation":{"a":1.0}}'],
    ['2025-03-26', ALL, '{"roots":{},"sampling":{}}'],
    ['2025-03-26', '{"sampling":{}, "elicitation":{}}', '{"sampling":{}}'],
  ])('without tasks, and without what %s does not have: %s [B23 D6]', (revision, text, after) => {
    expect(said(text, revision)).toBe(after);
  });

  test.each<[revision: ServedRevision, text: string, after: string]>([
    ['2025-06-18', '{"a":1,"elicitation":{"url":{}},"elicitation":{}}', '{"elicitation":{}}'],
    ['2025-06-18', '{"a":1,"elicitation":{},"elicitation":null}', '{}'],
    ['2025-06-18', '{"sampling":{"tools":{}},"roots":{},"sampling":{}}', '{"roots":{},"sampling":{}}'],
    [
      '2025-03-26',
      '{"sampling":{"tools":{}},"sampling":{"context":{}},"roots":{"listChanged":true}}',
      '{"roots":{},"sampling":{}}',
    ],
  ])('but given twice it is what we read, and nothing else is said: %s %s', (revision, text, after) => {
    expect(said(text, revision)).toBe(after);
  });

  test('given twice or not, a reader who takes the first and one who takes the last read the profile that we read', () => {
    const part = fc.constantFrom(
      '{}',
      'null',
      '{"url":{}}',
      '{"form":{}}',
      '{"tools":{}}',
      '{"tools":null,"tools":{}}',
    );
    const member = fc.tuple(fc.constantFrom('roots', 'sampling', 'elicitation', 'tasks'), part);

    fc.assert(
      fc.property(fc.array(member, { maxLength: 5 }), fc.constantFrom(...SERVED_REVISIONS), (members, revision) => {
        const text = `{${members.map(([name, value]) => `"${name}":${value}`).join()}}`;
        const ours = profileOf(JSON.parse(text), revision);
        for (const wins of ['first', 'last'] as const) {
          const theirs = plain(treeOf(said(text, revision), wins));
          expect(profileOf(theirs, revision).key, `${text} at ${revision}, ${wins}`).toBe(ours.key);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** A tree without numbers, as the object that JSON.parse would give. */
function plain(tree: Tree): unknown {
  return tree instanceof Map ? Object.fromEntries([...tree].map(([key, value]) => [key, plain(value)])) : tree;
}
