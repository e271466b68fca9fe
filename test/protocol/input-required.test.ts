import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UPSTREAM_REVISIONS, type UpstreamRevision } from '../../src/protocol/eras.ts';
import {
  answerUpstream,
  inputKey,
  inputRequest,
  inputRequiredResult,
  inputResponses,
  responseFault,
  urlInputRequests,
} from '../../src/protocol/input-required.ts';
import type { Member } from '../../src/protocol/json-scanner.ts';
import { readAs } from './read.ts';
import { treeOf } from './two-readers.ts';

const ELICIT = 'elicitation/create';
const SAMPLE = 'sampling/createMessage';
const ROOTS = 'roots/list';

const questionOf = (method: string, params: string | null) =>
  readAs('request', `{"jsonrpc":"2.0","id":"q1","method":"${method}"${params === null ? '' : `,"params":${params}`}}`);
const retryOf = (more: string) =>
  readAs('request', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"é"${more}}}`);

/** An answer inside a retry, as the client sends it. */
function given(answer: string): { bytes: Uint8Array; member: Member } {
  const retry = retryOf(`,"inputResponses":{"a": ${answer} }`);
  const member = inputResponses(retry)?.get('a');
  if (member === undefined) throw new Error('no answer');
  return { bytes: retry.bytes, member };
}

const faultOf = (method: string, answer: string): string | null => {
  const { bytes, member } = given(answer);
  return responseFault(method, bytes, member);
};

function answered(method: string, answer: string, revision: UpstreamRevision = '2025-11-25'): string {
  const { bytes, member } = given(answer);
  return Buffer.from(answerUpstream({ method, id: Buffer.from('"q\\u0031"') }, bytes, member, revision)).toString();
}

describe('what the client is asked', () => {
  const asked = (method: string, params: string | null): string =>
    Buffer.from(inputRequest(questionOf(method, params))).toString();
  const entry = (method: string, params: string): string => `{"method":"${method}","params":${params}}`;

  test('has no params where the question has none', () => {
    expect(asked(ROOTS, null)).toBe('{"method":"roots/list"}');
  });

  test.each<[what: string, method: string, params: string, left: string]>([
    [
      'is a form, byte for byte',
      ELICIT,
      '{ "mode":"form","message":"\\u00e9" , "requestedSchema":{"minimum":1.0} }',
      '{ "mode":"form","message":"\\u00e9" , "requestedSchema":{"minimum":1.0} }',
    ],
    ['is without a task', SAMPLE, '{"maxTokens":1,"task":{"ttl":1}}', '{"maxTokens":1}'],
    [
      'is without the id of an elicitation',
      ELICIT,
      '{"mode":"url","elicitationId":"e","url":"x:"}',
      '{"mode":"url","url":"x:"}',
    ],
    ['is without two of them side by side', ELICIT, '{"task":1,"elicitationId":"e","url":"x:"}', '{"url":"x:"}'],
    ['is without two of them at the end', ELICIT, '{"url":"x:","elicitationId":"e","task":1}', '{"url":"x:"}'],
    [
      'keeps a member of that name elsewhere',
      SAMPLE,
      '{"elicitationId":"e","a":{"task":1}}',
      '{"elicitationId":"e","a":{"task":1}}',
    ],
    ['is without a progress token', ROOTS, '{"_meta":{"a":1,"progressToken":7}}', '{"_meta":{"a":1}}'],
    ['is without a _meta of which nothing is left', ROOTS, '{"_meta":{ "progressToken" : 7 }}', '{}'],
    ['is without that, and a task', ELICIT, '{"task":1,"_meta":{"progressToken":7},"message":""}', '{"message":""}'],
    ['keeps a _meta that was empty', ROOTS, '{"_meta":{ }}', '{"_meta":{ }}'],
    ['keeps a _meta that is none', ROOTS, '{"_meta":7}', '{"_meta":7}'],
    [
      'is without what is spelled with escapes',
      ELICIT,
      '{"t\\u0061sk":1,"_met\\u0061":{"progress\\u0054oken":1,"b":2}}',
      '{"_met\\u0061":{"b":2}}',
    ],
  ])('%s', (_what, method, params, left) => {
    expect(asked(method, params)).toBe(entry(method, left));
  });

  test('of any members, loses exactly these', () => {
    const member = fc.tuple(
      fc.constantFrom('task', 'elicitationId', '_meta', 'message', 'a', '__proto__', 'é'),
      fc.oneof(
        fc.json({ maxDepth: 2 }),
        fc.constantFrom('{"progressToken":1}', '{"progressToken":1,"b":1.0}', '{"b":{ },"progressToken":""}'),
      ),
    );
    const property = fc.property(
      fc.uniqueArray(member, { selector: ([key]) => key }),
      fc.constantFrom(ELICIT, SAMPLE),
      fc.constantFrom('', ' '),
      (members, method, gap) => {
        const text = (list: readonly (readonly [string, string])[]): string =>
          `{${gap}${list.map(([key, json]) => `"${key}"${gap}:${gap}${json}`).join(`${gap},`)}}`;
        const left = members.flatMap(([key, json]): [string, string][] => {
          if (key === 'task' || (key === 'elicitationId' && method === ELICIT)) return [];
          if (key !== '_meta' || !json.includes('progressToken')) return [[key, json]];
          return json.includes('b') ? [[key, json.includes('1.0') ? '{"b":1.0}' : '{"b":{ }}']] : [];
        });

        expect(treeOf(asked(method, text(members)), 'last')).toEqual(treeOf(entry(method, text(left)), 'last'));
        if (left.length === members.length) expect(asked(method, text(members))).toContain(text(left));
      },
    );

    fc.assert(property, { numRuns: 1000 });
  });
});

describe('the key of a question', () => {
  const form = (properties: string, more = ''): string => `{${more}"requestedSchema":{"properties":${properties}}}`;

  test.each<[what: string, key: string, method: string, params: string | null]>([
    ['is the only field of its form', 'user.name_1-x', ELICIT, form('{"user.name_1-x":{"type":"string"}}')],
    ['is that field in any spelling', 'name', ELICIT, form('{"n\\u0061me":{}}')],
    ['is that field where the mode is given', 'name', ELICIT, form('{"name":{}}', '"mode":"form",')],
    ['is that field, 64 characters long', 'x'.repeat(64), ELICIT, form(`{"${'x'.repeat(64)}":{}}`)],
    ['says nothing of a longer one', 'r2-1', ELICIT, form(`{"${'x'.repeat(65)}":{}}`)],
    ['says nothing of an empty one', 'r2-1', ELICIT, form('{"":{}}')],
    ['says nothing of one with other characters', 'r2-1', ELICIT, form('{"naïve":{}}')],
    ['says nothing of one with a line break', 'r2-1', ELICIT, form('{"name\\n":{}}')],
    ['says nothing of two fields', 'r2-1', ELICIT, form('{"a":{},"b":{}}')],
    ['says nothing of no field', 'r2-1', ELICIT, form('{}')],
    ['says nothing of one field given twice', 'r2-1', ELICIT, form('{"a":{},"a":{}}')],
    ['says nothing of two schemas', 'r2-1', ELICIT, `${form('{"a":{}}').slice(0, -1)},"requestedSchema":{}}`],
    ['says nothing of a URL', 'r2-1', ELICIT, form('{"name":{}}', '"mode":"url",')],
    ['says nothing of another mode', 'r2-1', ELICIT, form('{"name":{}}', '"mode":7,')],
    ['says nothing of another question', 'r2-1', SAMPLE, form('{"name":{}}')],
    ['says nothing without params', 'r2-1', ROOTS, null],
    ['says nothing of a schema that is none', 'r2-1', ELICIT, '{"requestedSchema":[{"properties":{"a":1}}]}'],
    ['says nothing of properties that are none', 'r2-1', ELICIT, form('["name"]')],
    ['is no name that is used', 'r2-1', ELICIT, form('{"used":{}}')],
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'].map(
      (name): [string, string, string, string] => [`is not ${name}`, 'r2-1', ELICIT, form(`{"${name}":{}}`)],
    ),
  ])('%s', (_what, key, method, params) => {
    expect(inputKey(questionOf(method, params), 2, new Set(['used']))).toBe(key);
  });

  test('is the first that is free', () => {
    const question = questionOf(ROOTS, null);

    expect(inputKey(question, 1, new Set(['r2-1', 'r1-2']))).toBe('r1-1');
    expect(inputKey(question, 1, new Set(['r1-1', 'r1-2', 'r1-4']))).toBe('r1-3');
  });
});

describe('the result that asks', () => {
  const entries = new Map([
    ['a', Buffer.from('{"method":"roots/list"}')],
    ['b"\n', Buffer.from('{ "n":1.0}')],
  ]);
  const result = (...given: Parameters<typeof inputRequiredResult>): string =>
    Buffer.from(inputRequiredResult(...given)).toString();

  test('holds the questions by their keys, and the state', () => {
    expect(result(entries, 's-_', null)).toBe(
      '{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b\\"\\n":{ "n":1.0}},"requestState":"s-_"}',
    );
  });

  test('says who serves it', () => {
    expect(result(new Map(), 's', Buffer.from('{"name":"x"}'))).toBe(
      '{"resultType":"input_required","requestState":"s","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}}}',
    );
  });
});

test('URLs that a user must go to become questions', () => {
  const asked = urlInputRequests([
    { message: 'Say "yes"\ud800', url: 'https://a/?b=1' },
    { message: '', url: '' },
  ]);

  expect([...asked].map(([key, entry]) => [key, Buffer.from(entry).toString()])).toEqual([
    [
      'url-1',
      '{"method":"elicitation/create","params":{"mode":"url","message":"Say \\"yes\\"\\ud800","url":"https://a/?b=1"}}',
    ],
    ['url-2', '{"method":"elicitation/create","params":{"mode":"url","message":"","url":""}}'],
  ]);
  expect(urlInputRequests([]).size).toBe(0);
});

describe('the answers of a retry', () => {
  const texts = (more: string): unknown => {
    const retry = retryOf(more);
    const answers = inputResponses(retry);
    return (
      answers &&
      [...answers].map(([key, { start, end }]) => [key, Buffer.from(retry.bytes.subarray(start, end)).toString()])
    );
  };

  test.each<[what: string, more: string, answers: unknown]>([
    ['are none where there is no member', '', []],
    ['are none in an empty one', ',"inputResponses":{ }', []],
    [
      'are found by their keys',
      ',"inputResponses":{ "a" : {"x":1.0} ,"\\u0062":7,"__proto__":null}',
      [
        ['a', '{"x":1.0}'],
        ['b', '7'],
        ['__proto__', 'null'],
      ],
    ],
    ['are not those of another object', ',"arguments":{"inputResponses":{"a":1}}', []],
    ['cannot be an array', ',"inputResponses":[]', null],
    ['cannot be null', ',"inputResponses":null', null],
    ['cannot have a key twice', ',"inputResponses":{"a":1,"b":2,"\\u0061":1}', null],
  ])('%s', (_what, more, answers) => {
    expect(texts(more)).toEqual(answers);
  });

  test('are none without params', () => {
    expect(inputResponses(readAs('request', '{"jsonrpc":"2.0","id":1,"method":"m"}'))?.size).toBe(0);
  });
});

describe('an answer fits', () => {
  const text = '{"type":"text","text":""}';

  test.each<[method: string, answer: string]>([
    [ELICIT, '{"action":"accept"}'],
    [ELICIT, '{"action":"decline"}'],
    [ELICIT, '{"\\u0061ction":"c\\u0061ncel","x":null}'],
    [ELICIT, '{"action":"accept","content":{}}'],
    [
      ELICIT,
      '{"action":"accept","content":{"a":"x","b":1,"c":1.5e3,"d":true,"e":[],"f":[ "x" , "y" ],"__proto__":""}}',
    ],
    [SAMPLE, `{"role":"assistant","model":"m","content":${text}}`],
    [SAMPLE, `{"role":"user","model":"","content":[ ${text} ],"stopReason":7}`],
    [
      SAMPLE,
      `{"role":"assistant","model":"m","content":[${text},{"input":{"type":[]},"type":"tool_use"}],"resultType":"complete"}`,
    ],
    [ROOTS, '{"roots":[]}'],
    [ROOTS, '{"roots":[{"uri":"file:///a"} , {"name":"b","uri":"file:///b"}],"x":1}'],
  ])('%s %s', (method, answer) => {
    expect(faultOf(method, answer)).toBeNull();
  });
});

describe('an answer does not fit, and the client hears why', () => {
  const text = '{"type":"text","text":""}';
  const [action, value] = [/^the action of an elicitation must be /, /^a value of an elicitation must be /];
  const content = /^the content of a message must be /;

  test.each<[method: string, answer: string, why: RegExp]>([
    [ELICIT, 'null', /^an answer must be an object$/],
    [SAMPLE, '[]', /^an answer must be an object$/],
    [ROOTS, '"x"', /^an answer must be an object$/],
    ['tools/call', '{}', /^there is no such question$/],
    ['toString', '{}', /^there is no such question$/],
    [ELICIT, '{}', action],
    [ELICIT, '{"action":"Accept"}', action],
    [ELICIT, '{"action":["accept"]}', action],
    [ELICIT, '{"error":{"code":-1,"message":""}}', action],
    [ELICIT, '{"action":"accept","action":"accept"}', /^the member "action" of the answer is given twice$/],
    [ELICIT, '{"action":"accept","content":null}', /^the content of an elicitation must be an object$/],
    [ELICIT, '{"action":"accept","content":[]}', /^the content of an elicitation must be an object$/],
    [ELICIT, '{"action":"accept","content":{"a":null}}', value],
    [ELICIT, '{"action":"accept","content":{"a":{}}}', value],
    [ELICIT, '{"action":"accept","content":{"a":["x",1]}}', value],
    [ELICIT, '{"action":"accept","content":{"a":[["x"]]}}', value],
    [ELICIT, '{"action":"accept","content":{"a":1,"a":2}}', /^the member "a" of the answer is given twice$/],
    [SAMPLE, `{"model":"m","content":${text}}`, /^the role of a message must be /],
    [SAMPLE, `{"role":"system","model":"m","content":${text}}`, /^the role of a message must be /],
    [SAMPLE, `{"role":"user","content":${text}}`, /^the model of a message must be /],
    [SAMPLE, `{"role":"user","model":null,"content":${text}}`, /^the model of a message must be /],
    [SAMPLE, '{"role":"user","model":"m"}', content],
    [SAMPLE, '{"role":"user","model":"m","content":"x"}', content],
    [SAMPLE, '{"role":"user","model":"m","content":[]}', content],
    [SAMPLE, '{"role":"user","model":"m","content":{}}', content],
    [SAMPLE, '{"role":"user","model":"m","content":{"type":1}}', content],
    [SAMPLE, `{"role":"user","model":"m","content":[${text},"x"]}`, content],
    [SAMPLE, `{"role":"user","model":"m","content":[[${text}]]}`, content],
    [
      SAMPLE,
      '{"role":"user","model":"m","content":{"type":"a","type":"b"}}',
      /^the member "type" of the answer is given twice$/,
    ],
    [ROOTS, '{}', /^the roots must be /],
    [ROOTS, '{"roots":{}}', /^the roots must be /],
    [ROOTS, '{"roots":[{}]}', /^the roots must be /],
    [ROOTS, '{"roots":[{"uri":"x"},{"uri":7}]}', /^the roots must be /],
    [ROOTS, '{"roots":["file:///"]}', /^the roots must be /],
    [ROOTS, '{"roots":[],"roots":[]}', /^the member "roots" of the answer is given twice$/],
  ])('%s %s', (method, answer, why) => {
    expect(faultOf(method, answer)).toMatch(why);
  });

  test('or fits, whatever it is, and never fails', () => {
    const word = fc.constantFrom('action', 'content', 'role', 'model', 'roots', 'uri', 'type', 'accept', 'user', 'a');
    const json = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('null', '1', '1.0', 'true', '{}', '[]'),
        word.map((text) => `"${text}"`),
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(' ,')}]`),
        fc
          .array(fc.tuple(word, tie('value')), { maxLength: 4 })
          .map((list) => `{${list.map(([key, value]) => `"${key}": ${value}`).join()}}`),
      ),
    })).value;
    const property = fc.property(
      fc.constantFrom(ELICIT, SAMPLE, ROOTS),
      json,
      fc.constantFrom(...UPSTREAM_REVISIONS),
      (method, answer, revision) => {
        const fault = faultOf(method, answer);

        expect(fault === null || /^[a-z].*[^.]$/.test(fault)).toBe(true);
        expect(() => treeOf(answered(method, answer, revision), 'last')).not.toThrow();
      },
    );

    fc.assert(property, { numRuns: 2000 });
  });
});

describe('the answer to the upstream', () => {
  const wrapped = (result: string): string => `{"jsonrpc":"2.0","id":"q\\u0031","result":${result}}`;
  const block = '{ "type":"text","text":"é" }';
  const message = (content: string): string => `{"role":"assistant","content" : ${content},"model":"m"}`;

  test.each<[what: string, method: string, answer: string, result: string, revision: UpstreamRevision]>([
    [
      'is the client’s, byte for byte',
      ELICIT,
      '{ "action":"accept" ,"content":{"a":1.0} }',
      '{ "action":"accept" ,"content":{"a":1.0} }',
      '2025-06-18',
    ],
    ['has no type of result', ROOTS, '{"resultType":"complete","roots":[]}', '{"roots":[]}', '2024-11-05'],
    [
      'has none in any spelling or twice',
      ROOTS,
      '{"roots":[],"resultTyp\\u0065":1,"resultType":2}',
      '{"roots":[]}',
      '2025-11-25',
    ],
    [
      'keeps one that stands elsewhere',
      ELICIT,
      '{"action":"accept","content":{"resultType":"x"}}',
      '{"action":"accept","content":{"resultType":"x"}}',
      '2025-11-25',
    ],
    [
      'keeps blocks where they are known',
      SAMPLE,
      message(`[${block},${block}]`),
      message(`[${block},${block}]`),
      '2025-11-25',
    ],
    ['keeps an array of one where it is known', SAMPLE, message(`[${block}]`), message(`[${block}]`), '2025-11-25'],
    ['has the one block of an array, before', SAMPLE, message(`[ ${block} ]`), message(block), '2025-06-18'],
    ['has the one block of an array, long before', SAMPLE, message(`[${block}]`), message(block), '2024-11-05'],
    [
      'has that and no type of result',
      SAMPLE,
      `{"resultType":"complete", "content":[${block}],"resultType":1}`,
      `{"content":${block}}`,
      '2025-03-26',
    ],
    ['keeps a single block', SAMPLE, message(block), message(block), '2025-03-26'],
    ['keeps an array of another question', ELICIT, '{"content":[1]}', '{"content":[1]}', '2025-06-18'],
    ['is what it is when it is no object', ELICIT, '[ 1 ]', '[ 1 ]', '2025-06-18'],
  ])('%s', (_what, method, answer, result, revision) => {
    expect(answered(method, answer, revision)).toBe(wrapped(result));
  });

  test.each(['2025-06-18', '2025-03-26', '2024-11-05'] as const)(
    'is an error where %s does not know several blocks',
    (revision) => {
      for (const content of [`[${block},${block}]`, '[]']) {
        expect(answered(SAMPLE, message(content), revision)).toBe(
          '{"jsonrpc":"2.0","id":"q\\u0031","error":{"code":-32603,"message":"the message has several content blocks, and this revision knows only one"}}',
        );
      }
    },
  );
});

describe('what is hostile is read once', () => {
  const MANY = 150_000;

  test('a type of result that is given very often', () => {
    expect(answered(ROOTS, `{${'"resultType":1,'.repeat(MANY)}"roots":[]}`)).toContain('"result":{"roots":[]}}');
  });

  test('very many roots, blocks and values', () => {
    expect(faultOf(ROOTS, `{"roots":[${'{"uri":""},'.repeat(MANY)}{}]}`)).not.toBeNull();
    expect(faultOf(SAMPLE, `{"role":"user","model":"","content":[${'{"type":""},'.repeat(MANY)}{}]}`)).not.toBeNull();
    expect(faultOf(ELICIT, `{"action":"accept","content":{"a":[${'"",'.repeat(MANY)}1]}}`)).not.toBeNull();
  });

  test('a form of very many fields', () => {
    const fields = Array.from({ length: MANY }, (_, i) => `"f${i}":0`).join();

    expect(inputKey(questionOf(ELICIT, `{"requestedSchema":{"properties":{${fields}}}}`), 1, new Set())).toBe('r1-1');
  });
});
