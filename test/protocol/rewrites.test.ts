import { describe, expect, test } from 'vitest';
import { bytesOf, encode } from '../../src/protocol/json-rpc.ts';
import {
  NOTHING,
  REBUILT,
  REWRITES,
  type RewriteName,
  type RewriteRow,
  deliverableHandshake,
  rewrite,
} from '../../src/protocol/rewrites.ts';
import { read, readAs, textOfChunks } from './read.ts';

const REQUEST = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":"t"}}}';
const RESULT = '{"jsonrpc":"2.0","id":"7","result":{"protocolVersion":"2024-11-05"}}';
const ERROR = '{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"","data":{"protocolVersion":1}}}';
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":-1,"progress":1.0}}';
const CANCELLED = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a b","reason":""}}';
const BARE = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const QUESTION = '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"mode":"form"}}';
const URL_NEEDED =
  '{"jsonrpc":"2.0","id":7,"error":{"code":-32042,"message":"","data":{"elicitations":[{"code":-32042}]}}}';
const NULL_ID = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}';
const NO_ID = '{"jsonrpc":"2.0","error":{"code":-32700,"message":""}}';

function accepted(text: string) {
  const message = read(text);
  if (message.kind === 'unreadable') throw new Error(message.why);
  return message;
}

/** What the row finds, in order; null where this message does not have the field. */
function found(name: RewriteName, text: string): string | null {
  const message = accepted(text);
  const row: RewriteRow = REWRITES[name];
  const hits = row.find(message);
  if (hits === null || ('length' in hits && hits.length === 0)) return null;
  const spans = 'start' in hits ? [hits] : hits;
  return spans.map((span) => Buffer.from(bytesOf(message.bytes, span)).toString()).join(' | ');
}

const withTask = (text: string, task: string): string => text.replace('"params":{', `"params":{${task}`);
const handshake = (capabilities: string): string =>
  `{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":"2025-11-25","capabilities":${capabilities}}}`;
/** Where a row is about one member of the capabilities: what it cuts, and what it leaves alone. */
const offered = (path: readonly string[], name: string): readonly (readonly [text: string, hit: string | null])[] => {
  const within = (inner: string): string => path.reduceRight((object, step) => `{"z":1,"${step}":${object}}`, inner);
  return [
    [handshake(within(`{"${name}":{"a":1.0}}`)), `"${name}":{"a":1.0}`],
    [handshake(within(`{"a":true, "${name}" : true}`)), `, "${name}" : true`],
    [handshake(within(`{"${name}":true,"a":{"${name}":1}}`)), `"${name}":true,`],
    [handshake(within(`{"a":1,"${name}":true,"${name}":false}`)), `,"${name}":true | ,"${name}":false`],
    [handshake(within(`{"a":{"${name}":1},"${name}s":1}`)), null],
    [handshake(within('{}')), null],
    [handshake(within('[]')), null],
    [handshake(`{"x":${within(`{"${name}":1}`)}}`), null],
    [handshake('{}').replace('"capabilities"', `"${name}":{},"other"`), null],
    [handshake('null'), null],
    [ERROR, null],
    [REQUEST, null],
  ];
};

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
  requestTask: [
    [withTask(REQUEST, '"task":{"ttl":1.0},'), '"task":{"ttl":1.0},'],
    [REQUEST.replace('"t"}', '"t"}, "task":null'), ', "task":null'],
    [withTask(REQUEST, '"\\u0074ask" : 1 ,'), '"\\u0074ask" : 1 ,'],
    [REQUEST.replace('"progressToken"', '"task"'), null],
    [REQUEST.replace('"_meta"', '"arguments":{"task":1},"_meta"'), null],
    [REQUEST, null],
    [REQUEST.replace(/,"params".*/, '}'), null],
    [BARE, null],
    [RESULT.replace('"protocolVersion"', '"task"'), null],
  ],
  modernState: [
    ['{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","requestState":"s"}}', ',"requestState":"s"'],
    [
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":{},"requestState":"s","task":{},"name":"x"}}',
      '"inputResponses":{}, | "requestState":"s", | "task":{},',
    ],
    [
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":{},"requestState":"s"}}',
      '"inputResponses":{}, | "requestState":"s"',
    ],
    ['{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"requestState":"s"}}}', null],
    [BARE, null],
    [ERROR, null],
  ],
  modernMeta: [
    [REQUEST, '{"progressToken":"t"}'],
    [REQUEST.replace('_meta', 'meta'), null],
    [ERROR, null],
  ],
  modernStateAndMeta: [
    [
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{},"name":"x","requestState":"s"}}',
      '"_meta":{}, | ,"requestState":"s"',
    ],
    [
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{},"requestState":"s"}}',
      '"_meta":{}, | "requestState":"s"',
    ],
    [ERROR, null],
  ],
  questionAnswerId: [
    [RESULT, '"7"'],
    [ERROR, '7'],
    [NO_ID, null],
  ],
  questionId: [
    [QUESTION, '"q"'],
    [QUESTION.replace('"q"', '0'), '0'],
    [BARE, null],
  ],
  questionTask: [
    [withTask(QUESTION, '"task":{},'), '"task":{},'],
    [QUESTION.replace('"mode":"form"', '"task":{}'), '"task":{}'],
    [QUESTION, null],
  ],
  withdrawnQuestionId: [
    [CANCELLED, '"a b"'],
    [CANCELLED.replace('"a b"', '0'), '0'],
    [BARE, null],
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
  offeredTasks: offered([], 'tasks'),
  offeredLogging: offered([], 'logging'),
  offeredSubscribe: offered(['resources'], 'subscribe'),
  offeredToolChanges: offered(['tools'], 'listChanged'),
  offeredPromptChanges: offered(['prompts'], 'listChanged'),
  offeredResourceChanges: offered(['resources'], 'listChanged'),
  newerErrorCode: [
    [URL_NEEDED, '-32042'],
    [URL_NEEDED.replace('"code"', '"c\\u006fde"'), '-32042'],
    [URL_NEEDED.replace('-32042', '-32042.0'), null],
    [URL_NEEDED.replace('-32042', '"-32042"'), null],
    [URL_NEEDED.replace('-32042', '-32002'), null],
    [URL_NEEDED.replace('"error":', '"result":'), null],
    [ERROR, null],
    [NO_ID, null],
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
  for (const row of REBUILT) {
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

  test('takes a field out with its comma, however often it is given [D6]', () => {
    const text = handshake('{ "a":1 , "tasks":{}, "b":2,"tasks" : null }');

    expect(textOfChunks(rewrite(accepted(text), { offeredTasks: NOTHING }))).toBe(handshake('{ "a":1 , "b":2 }'));
  });

  test('takes the edits of its caller along with its own', () => {
    const message = readAs('result', '{"jsonrpc":"2.0","id":7,"result":[1.0,2]}');
    const edit = { start: message.result.start + 1, end: message.result.start + 4, text: encode('"one"') };

    expect(textOfChunks(rewrite(message, { answerId: encode('"own"') }, [edit]))).toBe(
      '{"jsonrpc":"2.0","id":"own","result":["one",2]}',
    );
    expect(textOfChunks(rewrite(message, {}, [edit]))).toBe('{"jsonrpc":"2.0","id":7,"result":["one",2]}');
  });
});

describe('the answer to initialize, as a client gets it', () => {
  const ALL =
    '{ "logging":{}, "tasks":{"list":{}}, "prompts":{"listChanged":true} ,"x":{"tasks":1.0,"listChanged":true},' +
    '"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true,"y":1.0},"completions":{}}';
  const delivered = (capabilities: string, forSession: boolean): string =>
    Buffer.from(deliverableHandshake(readAs('result', handshake(capabilities)), forSession).bytes).toString();

  test('keeps all that a session can use, byte for byte, but tasks [D6 D9]', () => {
    expect(delivered(ALL, true)).toBe(handshake(ALL.replace(', "tasks":{"list":{}}', '')));
    expect(delivered('{"tools":{"listChanged":true}}', true)).toBe(handshake('{"tools":{"listChanged":true}}'));
  });

  test('promises nothing without a session for which there is no stream [E1]', () => {
    expect(delivered(ALL, false)).toBe(
      handshake(
        '{ "prompts":{} ,"x":{"tasks":1.0,"listChanged":true},"resources":{},"tools":{"y":1.0},"completions":{}}',
      ),
    );
  });

  test('promises nothing of that to any reader, though the object that holds it is given twice [E1]', () => {
    const delivers = delivered('{"tools":{"listChanged":true},"tools":{}}', false);

    expect(delivers).not.toContain('listChanged');
  });

  test('takes out members that stand side by side, in whatever order', () => {
    const parts = ['"tasks":{}', '"logging":{}', '"a":1'];
    for (const first of parts) {
      for (const second of parts) {
        const last = parts.find((part) => part !== first && part !== second);
        if (first === second || last === undefined) continue;
        expect(delivered(`{${first},${second},${last}}`, false)).toBe(handshake('{"a":1}'));
      }
    }
  });

  test('stays a result whose members can be found and changed', () => {
    const answer = deliverableHandshake(readAs('result', handshake(ALL)), false);

    const sent = textOfChunks(
      rewrite(answer, { answerId: encode('"own"'), negotiatedVersion: encode('"2025-06-18"') }),
    );

    expect(JSON.parse(sent)).toMatchObject({ id: 'own', result: { protocolVersion: '2025-06-18' } });
  });

  test.each(['{}', 'null', '[]', '{"tools":[],"resources":null,"prompts":true}'])(
    'is left alone where it has none of that: %s',
    (capabilities) => {
      expect(delivered(capabilities, false)).toBe(handshake(capabilities));
    },
  );
});
