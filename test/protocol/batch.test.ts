import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchLimits, batchFault, isBatch, readBatch, requestsIn } from '../../src/protocol/batch.ts';
import { type Message, idText } from '../../src/protocol/json-rpc.ts';
import { MessageTexts, textOfDraft } from './message-texts.ts';
import { read, readAs } from './read.ts';

const LIMITS: BatchLimits = { maxDepth: 128, maxMessages: 100 };
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

const readText = (text: string, limits: Partial<BatchLimits> = {}) =>
  readBatch(Buffer.from(text), { ...LIMITS, ...limits });

function messagesOf(text: string): readonly Message[] {
  const batch = readText(text);
  if (batch.kind === 'unreadable') throw new Error(batch.why);
  return batch.messages;
}

const request = (id: string, method = 'ping'): string => `{"jsonrpc":"2.0","id":${id},"method":"${method}"}`;
const notification = (method: string): string => `{"jsonrpc":"2.0","method":"${method}"}`;
const result = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`;
const error = (id: string): string => `{"jsonrpc":"2.0","id":${id},"error":{"code":1,"message":""}}`;

describe('a text is a batch when its first token is a bracket', () => {
  test.each<[text: string, is: boolean]>([
    ['[]', true],
    [' \t\r\n[', true],
    ['[1', true],
    ['{}', false],
    [' {"a":[]}', false],
    ['', false],
    ['  ', false],
    ['"["', false],
    ['\ufeff[]', false],
    ['\f[]', false],
  ])('%j: %s', (text, is) => {
    expect(isBatch(Buffer.from(text))).toBe(is);
  });
});

describe('the messages of a batch are read', () => {
  test('in their order, each of them a view of its own bytes', () => {
    const texts = [request('1'), notification('x'), result('"é"'), error('null'), ' {"jsonrpc" : "2.0","result":1 }\n'];
    const bytes = Buffer.from(` \n[ ${texts.join(' ,\t')}\r] `);
    const batch = readBatch(bytes, LIMITS);

    const messages = batch.kind === 'batch' ? batch.messages : [];
    expect(messages.map(({ kind }) => kind)).toEqual(['request', 'notification', 'result', 'error', 'result']);
    expect(messages.map((message) => Buffer.from(message.bytes).toString())).toEqual(texts.map((text) => text.trim()));
    for (const message of messages) expect(message.bytes.buffer).toBe(bytes.buffer);
  });

  test('a batch may hold a single message, and as many as the limit says', () => {
    expect(messagesOf(`[${PING}]`)).toHaveLength(1);
    expect(readText(`[${[PING, PING, PING].join(',')}]`, { maxMessages: 3 })).toMatchObject({ kind: 'batch' });
  });

  test('depth counts from the root of each message', () => {
    const nested = (depth: number): string =>
      `{"jsonrpc":"2.0","result":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

    expect(messagesOf(`[${nested(128)},${nested(128)}]`)).toHaveLength(2);
    expect(readText(`[${nested(128)},${nested(129)}]`)).toMatchObject({
      code: 'invalid_request',
      why: 'message 2 of the batch: nested deeper than 128 levels (limits.jsonDepth)',
    });
  });
});

describe('a batch that is JSON but not right is an invalid request, and its refusal names no request', () => {
  test.each<[what: string, text: string, why: string]>([
    ['no message', '[]', 'a batch holds at least one message'],
    ['no message but space', ' [ \n] ', 'a batch holds at least one message'],
    ['too many', `[${Array.from({ length: 101 }, () => PING).join()}]`, 'at most 100 messages (limits.batch)'],
    ['a million numbers', `[${'1,'.repeat(1_000_000)}1]`, 'at most 100 messages (limits.batch)'],
    ['a number', '[1]', 'message 1 of the batch: a message is one JSON object'],
    ['a batch inside', `[${PING},[${PING}]]`, 'message 2 of the batch: a message is one JSON object'],
    ['a wrong version', `[${PING},{"jsonrpc":"1.0"}]`, 'message 2 of the batch: the member jsonrpc must be "2.0"'],
    ['the first of two faults', `[${PING},null,{}]`, 'message 2 of the batch: a message is one JSON object'],
    ['a wrong id', `[${PING},${PING},${request('1.0')}]`, 'message 3 of the batch: an id is a string or an integer'],
    [
      'a member twice',
      `[{"jsonrpc":"2.0","id":7,"i\\u0064":7,"method":"x"}]`,
      'message 1 of the batch: the member "id" is given twice',
    ],
    ['an object', '{}', 'a batch is one JSON array'],
  ])('%s', (_what, text, why) => {
    const refused = readText(text);

    expect(refused).toMatchObject({ kind: 'unreadable', code: 'invalid_request', id: null });
    expect(refused).toHaveProperty('why', expect.stringContaining(why));
  });

  test('what is behind the limit is not read', () => {
    expect(readText(`[${PING},${PING},?`, { maxMessages: 2 })).toMatchObject({ code: 'invalid_request' });
    expect(readText(`[${PING},${PING} ?`, { maxMessages: 2 })).toMatchObject({ code: 'parse_error' });
  });

  test('one that is far too deep is refused without trouble', () => {
    expect(readText('['.repeat(1_000_000))).toMatchObject({ code: 'invalid_request' });
    expect(readText(`[${'{"a":'.repeat(200_000)}`)).toMatchObject({ code: 'invalid_request' });
  });
});

describe('a batch that is not JSON is a parse error of the whole text', () => {
  test.each<[what: string, text: string, at: number]>([
    ['an open array', '[', 1],
    ['an array cut behind a message', `[${PING}`, 1 + PING.length],
    ['a comma at the end', `[${PING},]`, 2 + PING.length],
    ['a comma at the start', '[,1]', 1],
    ['two commas', '[1,,1]', 3],
    ['no comma', '[1 2]', 4],
    ['something behind', `[${PING}]x`, 2 + PING.length],
    ['a second batch', `[${PING}] [${PING}]`, 3 + PING.length],
    ['a wrong brace', '[1}', 3],
    ['a broken message', `[${PING}, {"jsonrpc":?}]`, 3 + PING.length + '{"jsonrpc":'.length],
    ['a broken message behind one that is no message', '[1,nul]', 3],
  ])('%s', (_what, text, at) => {
    expect(readText(text)).toEqual({
      kind: 'unreadable',
      code: 'parse_error',
      why: `not JSON: unexpected input at byte ${at}`,
      id: null,
    });
  });
});

describe('a batch is read as its messages are', () => {
  const space = fc.constantFrom('', '', ' ', '\n', '\r\n\t');
  const message = fc.integer().map((seed) => textOfDraft(new MessageTexts(seed).draft()));
  const long = fc.integer({ min: 500, max: 600 }).map((length) => request('1', 'é'.repeat(length)));
  const element = fc.oneof({ weight: 8, arbitrary: message }, { weight: 1, arbitrary: long });
  const texts = fc.array(element, { minLength: 1, maxLength: 6 });

  test('and the first that is unreadable makes it unreadable', () => {
    const property = fc.property(texts, space, (elements, around) => {
      const batch = readText(`${around}[${elements.join(`${around},`)}${around}]`);

      const alone = elements.map((text) => read(text.trim()));
      const wrong = alone.findIndex(({ kind }) => kind === 'unreadable');
      if (wrong === -1) {
        const messages = batch.kind === 'batch' ? batch.messages : [];
        expect(messages.map(withoutMemory)).toEqual(alone.map(withoutMemory));
      } else {
        const { why } = alone[wrong] as { why: string }; // findIndex found an unreadable one
        expect(batch).toMatchObject({
          code: 'invalid_request',
          why: `message ${wrong + 1} of the batch: ${why}`,
          id: null,
        });
      }
    });

    fc.assert(property, { numRuns: 2000 });
  });

  test('and a text that was tampered with is a parse error where any reader finds one, at the same byte', () => {
    const insertion = fc.constantFrom(...Array.from('{}[]",:\\ \n\u0000-.e0t'), '\\u', '],[', ',,');
    const tampered = fc
      .tuple(texts, fc.nat(), fc.nat({ max: 3 }), insertion)
      .map(([elements, where, cut, inserted]) => {
        const text = `[${elements.join()}]`;
        const at = 1 + (where % text.length);
        return text.slice(0, at) + inserted + text.slice(at + cut);
      });
    const property = fc.property(tampered, (text) => {
      const batch = readText(text);
      const whole = read(text, { maxDepth: 129 });

      if (whole.kind === 'unreadable' && whole.code === 'parse_error') expect(batch).toEqual(whole);
      else expect(batch).not.toMatchObject({ code: 'parse_error' });
    });

    fc.assert(property, { numRuns: 5000 });
  });

  /** For comparing: the bytes as text, for a message read alone stands elsewhere in memory. */
  function withoutMemory(message: ReturnType<typeof read>) {
    return 'bytes' in message ? { ...message, bytes: Buffer.from(message.bytes).toString() } : message;
  }
});

describe('a client’s batch', () => {
  const sameId = (a: number, b: number): string => `messages ${a} and ${b} of the batch have the same id`;
  const mixed = 'a batch holds either requests and notifications, or responses';
  const opening = 'initialize must not be part of a batch';

  test.each<[what: string, texts: readonly string[], fault: string | null]>([
    ['a request', [request('1')], null],
    ['requests and notifications', [request('1'), notification('x'), request('2'), notification('x')], null],
    ['responses', [result('1'), error('2')], null],
    ['two responses of one id', [result('1'), result('1')], null],
    ['initialize', [request('1', 'initialize')], opening],
    ['initialize in another spelling', [request('1'), request('2', 'initi\\u0061lize')], opening],
    ['initialize without an id', [notification('initialize')], opening],
    ['what only begins like it', [notification('notifications/initialized'), request('1', 'initialized')], null],
    ['a result among requests', [request('1'), result('2')], mixed],
    ['an error among notifications', [error('2'), notification('x')], mixed],
    ['two equal integers', [request('7'), request('8'), request('7')], sameId(1, 3)],
    ['two equal texts', [notification('x'), request('"a"'), request('"a"')], sameId(2, 3)],
    ['two spellings of one text', [request('"a"'), request('"\\u0061"')], sameId(1, 2)],
    ['a number and its text', [request('1'), request('"1"')], null],
    ['integers beyond doubles', [request('9007199254740992'), request('9007199254740993')], null],
    ['an id that a quote is part of', [request('"1"'), request('"\\"1\\""')], null],
  ])('of %s: %j', (_what, texts, fault) => {
    expect(batchFault(messagesOf(`[${texts.join()}]`))).toBe(fault);
  });
});

test('the text of an id is the same exactly for what is the same id', () => {
  const textOf = (id: string): string => {
    const { bytes, id: member } = readAs('request', request(id));
    return idText(bytes, member);
  };

  expect(textOf('"a"')).toBe(textOf('"\\u0061"'));
  expect(textOf('"\\ud83d\\ude00"')).toBe(textOf('"😀"'));
  expect(textOf('1')).not.toBe(textOf('"1"'));
  expect(textOf('12345678901234567890')).not.toBe(textOf('12345678901234567891'));
});

test.each<[text: string, requests: number]>([
  [PING, 1],
  [notification('notifications/cancelled'), 0],
  [result('1'), 0],
  [error('1'), 0],
  [`[${PING},${notification('a')},${request('2')}]`, 2],
  [`[${result('1')},${error('2')}]`, 0],
  // What a server might read otherwise
  ['', 1],
  ['[]', 1],
  ['{"jsonrpc":"2.0","method":"a","id":null}', 1],
  ['{"jsonrpc":"2.0","method":"a","id":1,"id":2}', 1],
  ['{"method":"a"}', 1],
  [`[${PING},{"id":1,"method":"a"}]`, 2],
  [`[${Array.from({ length: 101 }, () => result('1')).join()}]`, 100],
])('%s holds so many requests: %i', (text, requests) => {
  expect(requestsIn(Buffer.from(text), LIMITS)).toBe(requests);
});
