import { describe, expect, test } from 'vitest';
import { bytesOf, encode } from '../../src/protocol/json-rpc.ts';
import { REWRITES, type RewriteName, rewrite } from '../../src/protocol/rewrites.ts';
import { read, textOfChunks } from './read.ts';

const REQUEST = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":"t"}}}';
const RESULT = '{"jsonrpc":"2.0","id":"7","result":{"protocolVersion":"2024-11-05"}}';
const ERROR = '{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"","data":{"protocolVersion":1}}}';
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":-1,"progress":1.0}}';
const CANCELLED = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a b","reason":""}}';
const BARE = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const NULL_ID = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}';
const NO_ID = '{"jsonrpc":"2.0","error":{"code":-32700,"message":""}}';

function accepted(text: string) {
  const message = read(text);
  if (message.kind === 'unreadable') throw new Error(message.why);
  return message;
}

function found(name: RewriteName, text: string): string | null {
  const message = accepted(text);
  const span = REWRITES[name].find(message);
  return span === null ? null : Buffer.from(bytesOf(message.bytes, span)).toString();
}

/** What each row finds, and where it finds nothing. */
const ROWS: Readonly<Record<RewriteName, readonly (readonly [text: string, hit: string | null])[]>> = {
  requestId: [
    [REQUEST, '7'],
    [REQUEST.replace('7', '"\\u0037"'), '"\\u0037"'],
    [BARE, null],
    [PROGRESS.replace('"progress"', '"id"'), null],
  ],
  requestProgressToken: [
    [REQUEST, '"t"'],
    [REQUEST.replace('"t"', ' 1.50 '), '1.50'],
    [REQUEST.replace('"t"', '{"a":[]}'), '{"a":[]}'],
    [REQUEST.replace('progressToken', 'progress\\u0054oken'), '"t"'],
    [REQUEST.replace('progressToken', 'progresstoken'), null],
    [REQUEST.replace('"_meta":{"progressToken":"t"}', '"progressToken":"t"'), null],
    [REQUEST.replace('_meta', 'arguments'), null],
    [REQUEST.replace('{"progressToken":"t"}', '[]'), null],
    [REQUEST.replace(/,"params".*/, '}'), null],
    [RESULT.replace('"protocolVersion":"2024-11-05"', '"_meta":{"progressToken":1}'), null],
    [BARE, null],
  ],
  cancelledRequestId: [
    [CANCELLED, '"a b"'],
    [CANCELLED.replace('"a b"', '-12'), '-12'],
    [CANCELLED.replace('"requestId"', '"_meta":{},"request\\u0049d"'), '"a b"'],
    [CANCELLED.replace('"requestId":"a b",', ''), null],
    [CANCELLED.replace('"requestId":"a b"', '"x":{"requestId":1}'), null],
    [BARE, null],
    [RESULT, null],
  ],
  answerId: [
    [RESULT, '"7"'],
    [ERROR, '7'],
    [NULL_ID, null],
    [NO_ID, null],
  ],
  progressToken: [
    [PROGRESS, '-1'],
    [PROGRESS.replace('-1', '"\\ud800"'), '"\\ud800"'],
    [PROGRESS.replace('"progressToken":-1,', ''), null],
    [PROGRESS.replace('"progressToken":-1', '"_meta":{"progressToken":-1}'), null],
    [BARE, null],
    [ERROR, null],
  ],
  negotiatedVersion: [
    [RESULT, '"2024-11-05"'],
    [RESULT.replace('protocolVersion', 'protocol\\u0056ersion'), '"2024-11-05"'],
    [RESULT.replace('protocolVersion', 'version'), null],
    [RESULT.replace('{"protocolVersion":"2024-11-05"}', '{"a":{"protocolVersion":"2024-11-05"}}'), null],
    [RESULT.replace('{"protocolVersion":"2024-11-05"}', '["protocolVersion"]'), null],
    [ERROR, null],
    [BARE, null],
  ],
};

test.each(
  Object.entries(ROWS).flatMap(([name, rows]) =>
    // The keys of the table are the names of the rows.
    rows.map(([text, hit]) => [name as RewriteName, hit, text] as const),
  ),
)('%s finds %j in %s', (name, hit, text) => {
  expect(found(name, text)).toBe(hit);
});

test('every row is in the test above, and says why it is there', () => {
  expect(Object.keys(ROWS).toSorted()).toEqual(Object.keys(REWRITES).toSorted());
  for (const row of Object.values(REWRITES)) {
    expect(row.direction).toMatch(/^to the (upstream|client)$/);
    for (const text of [row.message, row.field, row.becomes, row.why]) expect(text).not.toBe('');
  }
});

describe('rewrite', () => {
  test('changes the named fields and nothing else, whatever their order in the text', () => {
    const text =
      ' { "params" : { "_meta" : { "progressToken" : "t" } , "a" : 1.0 } , "method":"x","id" :7, "jsonrpc":"2.0"}\n';
    const changes = { requestId: encode('41'), requestProgressToken: encode('42') };

    expect(textOfChunks(rewrite(accepted(text), changes))).toBe(
      text.replace('"t"', '42').replace('"id" :7', '"id" :41'),
    );
  });

  test('leaves alone what the message does not have', () => {
    const changes = {
      requestProgressToken: encode('42'),
      progressToken: encode('43'),
      negotiatedVersion: encode('44'),
    };

    expect(textOfChunks(rewrite(accepted(BARE), changes))).toBe(BARE);
    expect(textOfChunks(rewrite(accepted(NULL_ID), { answerId: encode('1') }))).toBe(NULL_ID);
  });

  test('without changes is the message itself', () => {
    const message = accepted(REQUEST);

    expect(rewrite(message, {})).toEqual([message.bytes]);
    expect(rewrite(message, {})[0]?.buffer).toBe(message.bytes.buffer);
  });
});
