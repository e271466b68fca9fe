import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/protocol/json-rpc.ts';
import {
  type DiscoverOptions,
  type ResultStamp,
  discoverResult,
  stampedResult,
} from '../../src/protocol/modern-result.ts';
import { modernTools } from '../../src/protocol/modern-tools.ts';
import { splice } from '../../src/protocol/splice.ts';
import { type Handshake, readInitializeAnswer } from '../../src/protocol/upstream-handshake.ts';
import { rawMember, rawObject, rawValue, stranger } from './raw-objects.ts';
import { readAs, textOfChunks } from './read.ts';
import { type Tree, treeOf } from './two-readers.ts';

const INFO = '{"name" : "s","version":"1.0","x":9007199254740993}';
const KEY = 'io.modelcontextprotocol/serverInfo';
const BARE: ResultStamp = { serverInfo: null, cache: null };
const FULL: ResultStamp = { serverInfo: encode(INFO), cache: { ttlMs: 5000, scope: 'public' } };
const FULL_HEAD = '"resultType":"complete","ttlMs":5000,"cacheScope":"public"';
const FULL_META = `"_meta":{"${KEY}":${INFO}}`;

const OURS = ['resultType', 'ttlMs', 'cacheScope', '_meta'];

const answerOf = (result: string): string => `{"jsonrpc":"2.0", "result":${result} ,"id":"\\u0031"}`;

/** The result as it is after its edits. */
function stamped(result: string, stamp: ResultStamp): string | null {
  const answer = readAs('result', answerOf(result));
  const edits = stampedResult(answer, stamp);
  if (edits === null) return null;
  const text = textOfChunks(splice(answer.bytes, edits));
  const [before = '', behind = ''] = answerOf('|').split('|');
  expect(text.startsWith(before)).toBe(true);
  expect(text.endsWith(behind)).toBe(true);
  return text.slice(before.length, text.length - behind.length);
}

describe('a result becomes a modern one', () => {
  test.each<[what: string, stamp: ResultStamp, result: string, after: string]>([
    ['an empty one', BARE, '{}', '{"resultType":"complete"}'],
    ['an empty one, with all', FULL, '{}', `{${FULL_HEAD},${FULL_META}}`],
    ['in space', BARE, '{ "a" : 1.0 }', '{"resultType":"complete", "a" : 1.0 }'],
    ['with a foreign type', BARE, '{"a":1,"resultType":"task"}', '{"resultType":"complete","a":1}'],
    ['with a type that is its own', BARE, '{"resultType":"complete","a":1}', '{"resultType":"complete","a":1}'],
    ['with a type given twice', BARE, '{"resultType":1,"resultType":2}', '{"resultType":"complete"}'],
    ['with a type in another spelling', BARE, '{"result\\u0054ype":7}', '{"resultType":"complete"}'],
    ['with hints that are not due', BARE, '{"ttlMs":1,"cacheScope":"public"}', '{"resultType":"complete"}'],
    ['with hints of its own', FULL, '{"ttlMs":-1,"x":2,"cacheScope":1}', `{${FULL_HEAD},${FULL_META},"x":2}`],
    ['with metadata', FULL, '{"_meta":{"a":1.0}}', `{${FULL_HEAD},"_meta":{"${KEY}":${INFO},"a":1.0}}`],
    ['with empty metadata', FULL, '{"_meta":{}}', `{${FULL_HEAD},${FULL_META}}`],
    ['with metadata and nothing to say', BARE, '{"_meta":{"a":1.0}}', '{"resultType":"complete","_meta":{"a":1.0}}'],
    ['with metadata that is none', FULL, '{"_meta":[],"a":1}', `{${FULL_HEAD},${FULL_META},"a":1}`],
    ['with metadata that is none, and nothing to say', BARE, '{"_meta":null}', '{"resultType":"complete"}'],
    ['with another serverInfo', FULL, `{"_meta":{"${KEY}":1,"${KEY}":2}}`, `{${FULL_HEAD},${FULL_META}}`],
    ['with a serverInfo where none is given', BARE, `{"_meta":{"${KEY}":{}}}`, '{"resultType":"complete","_meta":{}}'],
    [
      'with metadata given twice',
      BARE,
      '{"_meta":{"a":1},"_meta":{"b":2}}',
      '{"resultType":"complete","_meta":{"b":2}}',
    ],
    [
      'with metadata given twice, the last one none',
      FULL,
      '{"_meta":{"a":1},"_meta":0}',
      `{${FULL_HEAD},${FULL_META}}`,
    ],
  ])('%s', (_what, stamp, result, after) => {
    expect(stamped(result, stamp)).toBe(after);
  });

  test.each(
    'related-task model-immediate-response protocolVersion clientInfo clientCapabilities logLevel subscriptionId'.split(
      ' ',
    ),
  )('without the key %s in its metadata', (name) => {
    const meta = `{"io.modelcontextprotocol/${name}":{"taskId":"1"},"io.modelcontextprotocol/ui":1,"${name}":2}`;

    expect(stamped(`{"_meta":${meta}}`, BARE)).toBe(
      `{"resultType":"complete","_meta":{"io.modelcontextprotocol/ui":1,"${name}":2}}`,
    );
  });
});

describe('no result can be made of', () => {
  test.each(['[]', '7', 'null', '"x"', 'true'])('%s', (result) => {
    expect(stamped(result, FULL)).toBeNull();
  });

  test('one that gives our members again and again', () => {
    const many = (member: string): string => Array.from({ length: 5000 }, () => member).join(',"x":1,');

    expect(stamped(`{${many('"ttlMs":1')}}`, FULL)).toBeNull();
    expect(stamped(`{"_meta":{${many(`"${KEY}":1`)}}}`, FULL)).toBeNull();
  });
});

test('every reader finds what is ours, and everything else as it was', () => {
  const ours = fc.constantFrom('resultType', 'ttlMs', 'cacheScope');
  const metaKey = fc.constantFrom(
    KEY,
    'io.modelcontextprotocol/related-task',
    'io.modelcontextprotocol/subscriptionId',
  );
  const meta = rawObject(fc.oneof(stranger, rawMember(metaKey)));
  const asMeta = rawMember(
    fc.constant('_meta'),
    fc.oneof(
      rawValue,
      meta.map(({ text }) => text),
    ),
  );
  const result = rawObject(fc.oneof(stranger, rawMember(ours), asMeta, asMeta), 8);
  const property = fc.property(result, fc.constantFrom(BARE, FULL), ({ members, text }, stamp) => {
    const after = stamped(text, stamp) ?? '';

    const [first, last] = [object(treeOf(after, 'first')), object(treeOf(after, 'last'))];
    const expected: readonly (readonly [string, string | undefined])[] = [
      ['resultType', '"complete"'],
      ['ttlMs', stamp.cache === null ? undefined : '5000'],
      ['cacheScope', stamp.cache === null ? undefined : '"public"'],
    ];
    for (const tree of [first, last]) {
      for (const [name, json] of expected) {
        expect(tree.get(name)).toEqual(json === undefined ? undefined : treeOf(json, 'last'));
      }
      const inside = tree.get('_meta');
      if (stamp.serverInfo !== null) expect(object(inside).get(KEY)).toEqual(treeOf(INFO, 'last'));
      else if (inside !== undefined) expect(object(inside).has(KEY)).toBe(false);
      if (inside !== undefined) expect([...object(inside).keys()].filter((key) => key.includes('-task'))).toEqual([]);
    }
    const others = members.filter(({ name }) => !OURS.includes(name));
    let at = 0;
    for (const { text: own } of others) {
      at = after.indexOf(own, at);
      expect(at).toBeGreaterThan(0);
      at += own.length;
    }
    const kept = new Map(others.map((each) => [each.name, treeOf(each.value, 'last')]));
    expect(new Map([...last].filter(([name]) => !OURS.includes(name)))).toEqual(kept);
  });

  fc.assert(property, { numRuns: 1000 });
});

test('metadata keeps all that is not ours byte for byte', () => {
  const meta = rawObject(fc.oneof(stranger, rawMember(fc.constant(KEY))));
  const property = fc.property(meta, ({ members, text }) => {
    const after = stamped(`{"_meta":${text}}`, FULL) ?? '';

    const kept = members.filter(({ name }) => name !== KEY).map((each) => each.text);
    const rest = after.slice(`{${FULL_HEAD},"_meta":{"${KEY}":${INFO}`.length, -2);
    expect(withoutGaps(rest, kept)).toBe(kept.map(() => ',').join(''));
  });

  fc.assert(property, { numRuns: 500 });
});

test('its edits and those of the tools never meet', () => {
  const tool = rawObject(
    fc.oneof(
      stranger,
      rawMember(fc.constantFrom('execution', 'inputSchema'), fc.constantFrom('{"taskSupport":"required"}', '{}', '1')),
    ),
  ).map(({ text }) => text);
  const list = rawMember(
    fc.constant('tools'),
    fc.oneof(
      rawValue,
      fc.array(tool, { maxLength: 4 }).map((tools) => `[${tools.join()}]`),
    ),
  );
  const ours = rawMember(fc.constantFrom('ttlMs', 'resultType', 'nextCursor', '_meta'));
  const property = fc.property(rawObject(fc.oneof(stranger, list, ours), 8), ({ text }) => {
    const answer = readAs('result', answerOf(text));

    const after = textOfChunks(splice(answer.bytes, [...modernTools(answer), ...(stampedResult(answer, FULL) ?? [])]));
    expect(readAs('result', after).kind).toBe('result');
    expect(() => void JSON.parse(after)).not.toThrow();
  });

  fc.assert(property, { numRuns: 1000 });
});

function object(tree: Tree | undefined): Map<string, Tree> {
  if (!(tree instanceof Map)) throw new Error('not an object');
  return tree;
}

/** What is left of a text without these parts, which stand there in order, and without space. */
function withoutGaps(text: string, parts: readonly string[]): string {
  let rest = text;
  let left = '';
  for (const part of parts) {
    const at = rest.indexOf(part);
    if (at < 0) throw new Error(`${part} is not in ${text}`);
    left += rest.slice(0, at);
    rest = rest.slice(at + part.length);
  }
  return (left + rest).replaceAll(/\s/g, '');
}

function handshakeOf(members: string): Handshake {
  return readInitializeAnswer(readAs('result', answerOf(`{"protocolVersion":"2025-06-18"${members}}`)));
}

const NOTHING_DELIVERED: DiscoverOptions = {
  supported: ['2026-07-28', '2025-11-25'],
  cache: { ttlMs: 0, scope: 'private' },
  delivers: { listChanged: false, subscribe: false },
};

/** The bytes between the capabilities' braces as they are answered. */
function capabilitiesOf(given: string, delivers: DiscoverOptions['delivers']): string {
  const handshake = handshakeOf(`,"capabilities":${given}`);
  const text = Buffer.from(discoverResult(handshake, { ...NOTHING_DELIVERED, delivers })).toString();
  const [, capabilities] = /"capabilities":(.*),"ttlMs":0,"cacheScope":"private"\}$/s.exec(text) ?? [];
  expect(() => void JSON.parse(text)).not.toThrow();
  return capabilities ?? text;
}

describe('the result of server/discover', () => {
  test('says what the upstream said of itself, byte for byte', () => {
    const capabilities = '{ "tools":{"x":1.0} , "__proto__":{"a":9007199254740993} }';
    const handshake = handshakeOf(
      `,"capabilities":${capabilities},"instructions":"\\u00e9\\/","serverInfo":${INFO},"_meta":{"a":1},"more":2`,
    );

    expect(Buffer.from(discoverResult(handshake, NOTHING_DELIVERED)).toString()).toBe(
      `{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":${capabilities},` +
        `"instructions":"\\u00e9\\/","ttlMs":0,"cacheScope":"private","_meta":{"${KEY}":${INFO}}}`,
    );
  });

  test('is made of little', () => {
    const expected = {
      resultType: 'complete',
      supportedVersions: ['2026-07-28', '2025-11-25'],
      capabilities: {},
      ttlMs: 0,
      cacheScope: 'private',
    };

    for (const members of ['', ',"instructions":["x"],"capabilities":[],"serverInfo":null']) {
      const result = discoverResult(handshakeOf(members), NOTHING_DELIVERED);

      expect(JSON.parse(Buffer.from(result).toString())).toEqual(expected);
    }
  });

  test.each<[given: string, bare: string, whole: string]>([
    ['{}', '{}', '{}'],
    ['{"tasks":{"list":{}},"logging":{}}', '{"logging":{}}', '{"logging":{}}'],
    ['{"logging":{},"extensions":{"a/b":{}},"tasks":{}}', '{"logging":{}}', '{"logging":{}}'],
    ['{"tasks":{},"extensions":{},"tasks":1}', '{}', '{}'],
    ['{"tools":{"listChanged":true}}', '{"tools":{}}', '{"tools":{"listChanged":true}}'],
    ['{"prompts":{"listChanged":false,"x":1}}', '{"prompts":{"x":1}}', '{"prompts":{"listChanged":false,"x":1}}'],
    [
      '{"resources":{"subscribe":true,"listChanged":true},"completions":{}}',
      '{"resources":{},"completions":{}}',
      '{"resources":{"subscribe":true,"listChanged":true},"completions":{}}',
    ],
    [
      '{"tools":{"listChanged":1},"t\\u006fols":{"listChanged":2},"tools":true}',
      '{"tools":{},"t\\u006fols":{},"tools":true}',
      '{"tools":{"listChanged":1},"t\\u006fols":{"listChanged":2},"tools":true}',
    ],
    [
      '{"experimental":{"tasks":{},"tools":{"listChanged":true}},"tools":{"subscribe":true}}',
      '{"experimental":{"tasks":{},"tools":{"listChanged":true}},"tools":{"subscribe":true}}',
      '{"experimental":{"tasks":{},"tools":{"listChanged":true}},"tools":{"subscribe":true}}',
    ],
  ])('offers of %s what is delivered', (given, bare, whole) => {
    expect(capabilitiesOf(given, { listChanged: false, subscribe: false })).toBe(bare);
    expect(capabilitiesOf(given, { listChanged: true, subscribe: true })).toBe(whole);
  });

  test('offers changes of lists without those of single resources, and the other way round', () => {
    const given = '{"resources":{"subscribe":true,"listChanged":true},"tools":{"listChanged":true}}';

    expect(capabilitiesOf(given, { listChanged: true, subscribe: false })).toBe(
      '{"resources":{"listChanged":true},"tools":{"listChanged":true}}',
    );
    expect(capabilitiesOf(given, { listChanged: false, subscribe: true })).toBe(
      '{"resources":{"subscribe":true},"tools":{}}',
    );
  });
});

test.each<[info: string, isOne: boolean]>([
  [INFO, true],
  ['{"name":"","version":""}', true],
  ['{"name":"s"}', false],
  ['{"name":1,"version":"1"}', false],
  ['[]', false],
  ['"s"', false],
])('%s is a serverInfo: %s', (info, isOne) => {
  const { serverInfo: bytes } = handshakeOf(`,"serverInfo":${info}`);

  expect(bytes === null ? null : Buffer.from(bytes).toString()).toBe(isOne ? info : null);
});
