import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { requestDigest } from '../../src/protocol/canonical-digest.ts';
import { read, readAs } from './read.ts';

const digestOf = (params: string, method = 'tools/call', more = ''): string =>
  requestDigest(
    readAs('request', `{"jsonrpc":"2.0","id":1,"method":${JSON.stringify(method)},${more}"params":${params}}`),
  );

const CALL = '{"name":"pay","arguments":{"to":"Zoë","amount":10,"deep":[{"a":1,"b":[true,null]}]}}';

test('a digest is 43 characters of base64url, always the same', () => {
  expect(digestOf(CALL)).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(digestOf(CALL)).toBe(digestOf(CALL));
});

describe('the same request is', () => {
  test.each<[what: string, params: string]>([
    [
      'one with its members in another order',
      '{"arguments":{"deep":[{"b":[true,null],"a":1}],"amount":10,"to":"Zoë"},"name":"pay"}',
    ],
    ['one with white space', CALL.replaceAll(/[{}[\],:]/g, ' \r\n\t$& ')],
    ['one with strings in another spelling', CALL.replace('pay', '\\u0070a\\u0079').replace('ë', '\\u00EB')],
    ['one with keys in another spelling', CALL.replace('"to"', '"t\\u006f"').replace('"name"', '"\\u006Eame"')],
    ['its retry', CALL.replace('{', '{"inputResponses":{"a":{"action":"accept"}},"requestState":"x",')],
    ['its retry, with the new members at the end', `${CALL.slice(0, -1)},"requestState":"x","inputResponses":{}}`],
    ['one with _meta', CALL.replace('{', '{"_meta":{"progressToken":{"b":1,"a":2}},')],
    ['one with a task', CALL.replace('{', '{"t\\u0061sk":{"ttl":1},')],
  ])('%s', (_what, params) => {
    expect(digestOf(params)).toBe(digestOf(CALL));
  });

  test('one with another id', () => {
    const one = readAs('request', '{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}');
    const other = readAs('request', '{"method":"m","params":{"a":1},"id":"x","jsonrpc":"2.0"}');

    expect(requestDigest(one)).toBe(requestDigest(other));
  });

  test('one without params, where they have no members', () => {
    const without = requestDigest(readAs('request', '{"jsonrpc":"2.0","id":1,"method":"tools/call"}'));

    expect(digestOf('{}')).toBe(without);
    expect(digestOf('{"_meta":{},"requestState":"x"}')).toBe(without);
  });
});

describe('another request is', () => {
  test.each<[what: string, params: string]>([
    ['one with another name', CALL.replace('pay', 'Pay')],
    ['one with another argument', CALL.replace('10', '11')],
    ['one with a text for a number', CALL.replace('10', '"10"')],
    ['one with a number in another spelling', CALL.replace('10', '10.0')],
    ['one with an argument less', CALL.replace('"amount":10,', '')],
    ['one with an argument more', CALL.replace('"amount":10', '"amount":10,"x":null')],
    ['one with elements in another order', CALL.replace('true,null', 'null,true')],
    ['one with another nesting', CALL.replace('[true,null]', '[[true],null]')],
    ['one with a null for false', CALL.replace('null', 'false')],
    ['one with a member more beside the arguments', `${CALL.slice(0, -1)},"x":1}`],
    ['one where a member of the retry is an argument', CALL.replace('"amount"', '"requestState":"x","amount"')],
    ['one with _meta among the arguments', CALL.replace('"amount"', '"_meta":{},"amount"')],
  ])('%s', (_what, params) => {
    expect(digestOf(params)).not.toBe(digestOf(CALL));
  });

  test('one of another method', () => {
    expect(digestOf(CALL, 'prompts/get')).not.toBe(digestOf(CALL));
  });

  test.each<[one: string, other: string]>([
    ['{"n":9007199254740992}', '{"n":9007199254740993}'],
    ['{"n":1e999}', '{"n":2e999}'],
    ['{"n":0}', '{"n":-0}'],
    ['{"a":1,"a":2}', '{"a":2,"a":1}'],
    ['{"a":1,"a":1}', '{"a":1}'],
    ['{"a":{}}', '{"a":[]}'],
    ['{"a":{}}', '{"a":null}'],
    ['{"a":[]}', '{"a":[[]]}'],
    ['{"a":[1,2]}', '{"a":[12]}'],
    ['{"a":["1","2"]}', '{"a":["1,2"]}'],
    ['{"a":"\\""}', '{"a":"\\\\\\""}'],
    ['{"a":"\\ud800"}', '{"a":"\\ud801"}'],
    ['{"a":"\\ud800"}', '{"a":"\\\\ud800"}'],
    ['{"a":"\\ud800"}', '{"a":"\ufffd"}'],
    ['{"a":"é"}', '{"a":"e\u0301"}'],
    ['{"a":{"b":1},"c":2}', '{"a":{"b":1,"c":2}}'],
    ['{"__proto__":1}', '{}'],
    ['{"\\u005c\\u0022":1}', '{"\\u005c\\u005c":1}'],
    ['{"a":1,"requestStat\\u0065s":1}', '{"a":1}'],
  ])('%s, beside %s', (one, other) => {
    expect(digestOf(one)).not.toBe(digestOf(other));
  });
});

/** A value as it is meant: numbers by their texts, objects as lists of members. */
type Model =
  | { readonly raw: string }
  | { readonly text: string }
  | { readonly items: readonly Model[] }
  | { readonly members: readonly (readonly [key: string, value: Model])[] };

const KEYS = [
  '',
  'a',
  'b',
  'A',
  'aa',
  'é',
  '"',
  '\\',
  '\\"',
  '__proto__',
  'constructor',
  '_meta',
  'task',
  '😀',
  '\ud800',
  '\n',
  '1',
  '10',
  '2',
];
const model = fc.letrec<{ value: Model }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc
      .constantFrom('0', '-0', '1', '1.0', '1e2', '9007199254740993', '9007199254740992', 'true', 'false', 'null')
      .map((raw) => ({ raw })),
    fc
      .oneof(fc.constantFrom(...KEYS), fc.string({ unit: 'binary', maxLength: 5 }), fc.constant('x'.repeat(700)))
      .map((text) => ({ text })),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => ({ items })),
    fc.array(fc.tuple(fc.constantFrom(...KEYS), tie('value')), { maxLength: 5 }).map((members) => ({ members })),
  ),
})).value;
const object = fc
  .array(fc.tuple(fc.constantFrom(...KEYS.filter((key) => key !== '_meta' && key !== 'task')), model), { maxLength: 6 })
  .map((members): Model => ({ members }));

const missing: readonly [string, Model] = ['', { raw: 'null' }];

/** One of the texts of a value. `chance` is asked for every choice. */
function textOfModel(value: Model, chance: () => number): string {
  const gap = (): string => ['', '', '', ' ', '\n\t'][chance() % 5] ?? '';
  const string = (text: string): string => {
    const chars = Array.from({ length: text.length }, (_, i) => text.charAt(i));
    // Halves of a pair are spelled alike: one of them alone cannot be written unescaped.
    const plain = chance() % 2 === 0;
    if (plain) return JSON.stringify(text);
    return `"${chars.map((char) => (/[\ud800-\udfff]/.test(char) || chance() % 3 === 0 ? hex(char) : JSON.stringify(char).slice(1, -1))).join('')}"`;
  };
  const hex = (char: string): string => {
    const digits = char.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${chance() % 2 === 0 ? digits : digits.toUpperCase()}`;
  };
  if ('raw' in value) return value.raw;
  if ('text' in value) return string(value.text);
  if ('items' in value) {
    return `[${gap()}${value.items.map((item) => gap() + textOfModel(item, chance) + gap()).join()}]`;
  }
  const members = value.members.map((member, place) => ({ member, place, order: chance() }));
  const shuffled = members.toSorted((a, b) => a.order - b.order);
  // What is given twice stays in its order.
  const next = new Map<string, number>();
  const inOrder = shuffled.map(({ member: [key] }) => {
    const places = members.filter(({ member }) => member[0] === key);
    const which = next.get(key) ?? 0;
    next.set(key, which + 1);
    return places[which]?.member ?? missing;
  });
  const texts = inOrder.map(
    ([key, inner]) => `${gap()}${string(key)}${gap()}:${gap()}${textOfModel(inner, chance)}${gap()}`,
  );
  return `{${gap()}${texts.join()}}`;
}

/** The one text that all texts of a value have in common. */
function plainly(value: Model): unknown {
  if ('raw' in value || 'text' in value) return value;
  if ('items' in value) return value.items.map(plainly);
  const sorted = value.members.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return { members: sorted.map(([key, inner]) => [key, plainly(inner)]) };
}

function chancesFrom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return (state ^ (state >>> 13)) >>> 1;
  };
}

test('however it is written, the same request has the same digest', () => {
  const property = fc.property(object, fc.integer(), fc.integer(), (value, one, other) => {
    expect(digestOf(textOfModel(value, chancesFrom(one)))).toBe(digestOf(textOfModel(value, chancesFrom(other))));
  });

  fc.assert(property, { numRuns: 1000 });
});

test('two requests have the same digest only if they are the same', () => {
  const seen = new Map<string, string>();
  const property = fc.property(object, fc.integer(), (value, seed) => {
    const digest = digestOf(textOfModel(value, chancesFrom(seed)));
    const plain = JSON.stringify(plainly(value));

    expect(seen.get(digest) ?? plain).toBe(plain);
    seen.set(digest, plain);
  });

  fc.assert(property, { numRuns: 2000 });
  expect(new Set(seen.values()).size).toBe(seen.size);
  expect(seen.size).toBeGreaterThan(500);
});

describe('a hostile request has a digest before the test times out', () => {
  const SIZE = 1_000_000;
  const nested = (levels: number, inner: string): string =>
    `${'{"b":'.repeat(levels)}${inner}${',"a":1}'.repeat(levels)}`;

  test.each<[what: string, params: string]>([
    ['deep, out of order, with much inside', nested(120, `"${'x'.repeat(SIZE)}"`)],
    ['deep, with many members out of order inside', nested(120, `{${'"b":1,"a":1,'.repeat(SIZE / 12)}"":1}`)],
    ['of many elements', `{"a":[${'1,'.repeat(SIZE / 2)}1]}`],
    ['of many objects out of order', `{"a":[${'{"b":1,"a":{}},'.repeat(SIZE / 15)}1]}`],
    ['of empty brackets', `{"a":[${'[[]],'.repeat(SIZE / 5)}1]}`],
    ['of escapes', `{"a":"${'\\u0001'.repeat(SIZE / 6)}"}`],
    [
      'of keys that differ at their ends',
      `{${Array.from({ length: SIZE / 1000 }, (_, i) => `"${'x'.repeat(990)}${9999 - i}":1`).join()}}`,
    ],
  ])('%s', (_what, params) => {
    expect(digestOf(params)).toMatch(/^.{43}$/);
  });
});

test('a request may be as deep as a message may be', () => {
  const deep = (inner: string): string => `${'[{"b":2,"a":'.repeat(62)}${inner}${'}]'.repeat(62)}`;
  const text = (inner: string): string => `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":${deep(inner)}}}`;

  expect(read(text('1')).kind).toBe('request');
  expect(requestDigest(readAs('request', text('1')))).not.toBe(requestDigest(readAs('request', text('2'))));
});
