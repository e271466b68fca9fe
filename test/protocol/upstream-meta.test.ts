import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TraceName, modernMeta } from '../../src/protocol/upstream-meta.ts';
import { readAs } from './read.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
const MODERN =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"debug"';

/** The `_meta` that the upstream gets; null for none. */
function after(
  meta: string | null,
  headers: Partial<Record<TraceName, string>> = {},
  token: string | null = '7',
): string | null {
  const params = meta === null ? '{}' : `{"name":"é","_meta":${meta}}`;
  const request = readAs('request', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
  const bytes = modernMeta(request, token === null ? null : Buffer.from(token), (name) => headers[name]);
  return bytes === null ? null : Buffer.from(bytes).toString();
}

describe('of the members of _meta', () => {
  test.each<[what: string, meta: string | null, left: string | null]>([
    ['nothing is left without any', null, null],
    ['nothing is left of an empty one', '{ }', null],
    ['nothing is left of one that is no object', '3', null],
    ['those of the modern revision go', `{${MODERN}}`, null],
    ['those of the modern revision go in any spelling', '{"io.modelcontextprotocol\\/logL\\u0065vel" : 1 }', null],
    ['the progress token becomes ours', `{"progressToken":"t",${MODERN}}`, '{"progressToken":7}'],
    [
      'the progress token becomes ours in its place',
      '{"a":1 , "progressToken" : "t", "b":2}',
      '{"a":1,"progressToken" : 7,"b":2}',
    ],
    [
      'others stay, byte for byte',
      `{ "b" : 1.0 ,"a":[ 12345678901234567890 ] }`,
      '{"b" : 1.0 ,"a":[ 12345678901234567890 ]}',
    ],
    ['others stay around those that go', `{"a":1,${MODERN},"b":2}`, '{"a":1,"b":2}'],
    [
      'others stay between those that go',
      '{"io.modelcontextprotocol/logLevel":1,"a": 1 ,"io.modelcontextprotocol/clientInfo":1,"b":2}',
      '{"a": 1,"b":2}',
    ],
    [
      'other keys of the protocol stay',
      '{"io.modelcontextprotocol/related-task":{"taskId":"1"}}',
      '{"io.modelcontextprotocol/related-task":{"taskId":"1"}}',
    ],
    [
      'keys that resemble them stay',
      '{"protocolVersion":1,"io.modelcontextprotocol/loglevel":2,"x":{"progressToken":3}}',
      '{"protocolVersion":1,"io.modelcontextprotocol/loglevel":2,"x":{"progressToken":3}}',
    ],
    ['what is given twice stays twice', '{"a":1,"a":2}', '{"a":1,"a":2}'],
    [
      'a trace stays, whatever it is',
      `{"traceparent":7,"tracestate":"","baggage":null}`,
      `{"traceparent":7,"tracestate":"","baggage":null}`,
    ],
  ])('%s', (_what, meta, left) => {
    expect(after(meta)).toBe(left);
  });

  test('the progress token goes where we have none, and none of ours is added', () => {
    expect(after('{"a":1,"progressToken":1,"b":2}', {}, null)).toBe('{"a":1,"b":2}');
    expect(after('{"progressToken":1}', {}, null)).toBeNull();
    expect(after('{"a":1}', {}, '7')).toBe('{"a":1}');
  });
});

describe('a trace in the headers', () => {
  const all = { traceparent: PARENT, tracestate: 'a=1,b=2', baggage: 'k=v;p' };

  test.each<[what: string, meta: string | null, headers: Partial<Record<TraceName, string>>, left: string | null]>([
    ['is added', '{}', all, `{"traceparent":"${PARENT}","tracestate":"a=1,b=2","baggage":"k=v;p"}`],
    ['is added where there is no _meta', null, { traceparent: PARENT }, `{"traceparent":"${PARENT}"}`],
    ['is added behind the others', `{"a":1,${MODERN}}`, { baggage: 'k=v' }, '{"a":1,"baggage":"k=v"}'],
    ['does not replace that of _meta', `{"traceparent":"x","baggage":"y"}`, all, '{"traceparent":"x","baggage":"y"}'],
    [
      'does not replace that of _meta in any spelling',
      '{"trac\\u0065parent":"x"}',
      { traceparent: PARENT },
      '{"trac\\u0065parent":"x"}',
    ],
    ['has no state without its parent', '{}', { tracestate: 'a=1' }, null],
    ['has no state beside a broken parent', '{}', { traceparent: 'x', tracestate: 'a=1' }, null],
    ['has no state beside the parent of _meta', '{"traceparent":"x"}', { tracestate: 'a=1' }, '{"traceparent":"x"}'],
    ['has no parent beside the state of _meta', '{"tracestate":"x"}', { traceparent: PARENT }, '{"tracestate":"x"}'],
    [
      'keeps its parent without a broken state',
      '{}',
      { traceparent: PARENT, tracestate: 'A' },
      `{"traceparent":"${PARENT}"}`,
    ],
  ])('%s', (_what, meta, headers, left) => {
    expect(after(meta, headers)).toBe(left);
  });
});

describe('well-formed is', () => {
  test.each<[name: TraceName, text: string]>([
    ['traceparent', PARENT],
    ['traceparent', PARENT.replace('-01', '-ff')],
    ['traceparent', PARENT.replace('00', 'cc')],
    ['traceparent', `${PARENT.replace('00', 'cc')}-what.ever`],
    ['traceparent', `${PARENT.replace('00', '01')}-`],
    ['tracestate', 'a=1'],
    ['tracestate', 'rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE\t,,'],
    ['tracestate', '0tenant@vendor_-*/=a b!~'],
    ['tracestate', Array.from({ length: 32 }, (_, i) => `k${i}=v`).join()],
    ['tracestate', `${'k'.repeat(256)}=${'v'.repeat(256)}`],
    ['baggage', 'userId=alice'],
    ['baggage', 'a = 1 , b=%20=/?;property ; p = v;q=,c='],
    ['baggage', `k=${'v'.repeat(8190)}`],
  ])('the %s %j', (name, text) => {
    const left = after('{}', { traceparent: PARENT, [name]: text });

    expect(JSON.parse(left ?? '{}')).toHaveProperty(name, text);
  });
});

describe('not well-formed is', () => {
  test.each<[name: TraceName, text: string]>([
    ['traceparent', ''],
    ['traceparent', PARENT.toUpperCase()],
    ['traceparent', ` ${PARENT}`],
    ['traceparent', `${PARENT}\n`],
    ['traceparent', `${PARENT}, ${PARENT}`],
    ['traceparent', `${PARENT}-01`],
    ['traceparent', `${PARENT}0`],
    ['traceparent', PARENT.slice(0, -1)],
    ['traceparent', PARENT.replace('00', 'ff')],
    ['traceparent', PARENT.replace(/-.{32}-/, `-${'0'.repeat(32)}-`)],
    ['traceparent', PARENT.replace(/-.{16}-/, `-${'0'.repeat(16)}-`)],
    ['traceparent', `${PARENT.replace('00', 'cc')}-a, b`],
    ['traceparent', `${PARENT.replace('00', 'cc')}-${'a'.repeat(9000)}`],
    ['tracestate', ''],
    ['tracestate', ' , '],
    ['tracestate', 'a'],
    ['tracestate', 'a='],
    ['tracestate', '=1'],
    ['tracestate', 'A=1'],
    ['tracestate', 'a=1=2'],
    ['tracestate', 'a=é'],
    ['tracestate', 'a=1\u0000'],
    ['tracestate', 'a=1\tb'],
    ['tracestate', `${'k'.repeat(257)}=v`],
    ['tracestate', `k=${'v'.repeat(257)}`],
    ['tracestate', Array.from({ length: 33 }, (_, i) => `k${i}=v`).join()],
    ['baggage', ''],
    ['baggage', 'a'],
    ['baggage', '=1'],
    ['baggage', 'a=1,'],
    ['baggage', 'a b=1'],
    ['baggage', 'a="1"'],
    ['baggage', 'a=1\\'],
    ['baggage', 'a=1;'],
    ['baggage', 'a=1 2'],
    ['baggage', 'a=1\r\nX: y'],
    ['baggage', 'a=ü'],
    ['baggage', `k=${'v'.repeat(8191)}`],
    ['baggage', ';'.repeat(8192)],
    ['baggage', ' '.repeat(8192)],
  ])('the %s %j', (name, text) => {
    const left = after('{}', { traceparent: PARENT, [name]: text });

    expect(JSON.parse(left ?? '{}')).not.toHaveProperty(name);
  });
});

test('whatever stands in _meta, the others keep their bytes and their order', () => {
  const space = fc.constantFrom('', ' ', '\n\t');
  const gone = ['protocolVersion', 'clientInfo', 'clientCapabilities', 'logLevel'].map(
    (name) => `io.modelcontextprotocol/${name}`,
  );
  const stays = fc.oneof(
    fc.constantFrom('a', 'com.example/x', '__proto__', '"', '\\', 'traceparent', 'baggage', ''),
    fc.string({ maxLength: 4 }),
  );
  const member = fc.tuple(
    fc.oneof(
      stays.map((key) => ({ key, goes: false })),
      fc.constantFrom(...gone).map((key) => ({ key, goes: true })),
    ),
    space,
    fc.json({ maxDepth: 2 }),
  );
  const property = fc.property(
    fc.uniqueArray(member, { maxLength: 8, selector: ([{ key }]) => key }),
    space,
    fc.option(fc.nat(8)),
    (members, gap, tokenAt) => {
      const texts = members.map(([{ key, goes }, inner, json]) => ({
        goes,
        text: `${JSON.stringify(key)}${inner}:${json}`,
      }));
      if (tokenAt !== null) texts.splice(tokenAt, 0, { goes: false, text: '"progressToken":"theirs"' });
      const left = after(
        `{${gap}${texts.map(({ text }) => text).join(`${gap},${gap}`)}${gap}}`,
        { tracestate: 'a=1' },
        '"ours"',
      );

      const kept = texts.filter(({ goes }) => !goes).map(({ text }) => text.replace('"theirs"', '"ours"'));
      let rest = left?.slice(1, -1) ?? '';
      for (const [i, text] of kept.entries()) {
        if (i > 0) rest = rest.replace(/^\s*,\s*/, '');
        expect(rest.startsWith(text)).toBe(true);
        rest = rest.slice(text.length);
      }
      expect(rest).toBe('');
      expect(left === null).toBe(kept.length === 0);
    },
  );

  fc.assert(property, { numRuns: 2000 });
});

test('a _meta of very many members is read once', () => {
  const meta = `{${'"a":1,"io.modelcontextprotocol/x":1,'.repeat(1)}${'"b":1,"traceparent":1,'.repeat(100_000)}"c":1}`;

  expect(after(meta)).toBe(meta);
});
