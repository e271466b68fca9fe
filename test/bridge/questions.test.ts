import { describe, expect, test } from 'vitest';
import { answerOfNobody, refusal, refusalOf } from '../../src/bridge/questions.ts';
import { EMPTY_PROFILE, FULL_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import type { ServedRevision } from '../../src/protocol/eras.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { readAs } from '../protocol/read.ts';
import { requestOf } from './recorded.ts';

const NO_METHOD = -32601;
const INVALID_PARAMS = -32602;

/** Questions by a short name. */
const QUESTIONS = {
  roots: { method: 'roots/list' },
  sampling: { method: 'sampling/createMessage', params: { messages: [], includeContext: 'thisServer' } },
  'sampling with tools': { method: 'sampling/createMessage', params: { messages: [], tools: [] } },
  'sampling with a choice of tools': { method: 'sampling/createMessage', params: { toolChoice: { mode: 'auto' } } },
  form: { method: 'elicitation/create', params: { message: 'x', requestedSchema: {} } },
  'named form': { method: 'elicitation/create', params: { mode: 'form', message: 'x' } },
  url: { method: 'elicitation/create', params: { mode: 'url', elicitationId: 'e', url: 'https://x.example' } },
  'invented mode': { method: 'elicitation/create', params: { mode: 'voice' } },
  'mode that is no text': { method: 'elicitation/create', params: { mode: { toString: 'form' } } },
  'mode null': { method: 'elicitation/create', params: { mode: null } },
  'no params': { method: 'elicitation/create' },
  invented: { method: 'x/invented' },
  tasks: { method: 'tasks/get' },
} as const;
type Name = keyof typeof QUESTIONS;

function codeFor(name: Name, capabilities: object, revision: ServedRevision = '2025-11-25'): number | null {
  return refusalOf(requestOf(QUESTIONS[name]), profileOf(capabilities, revision))?.code ?? null;
}

describe('a client is asked only for what it has declared', () => {
  test.each<[declares: object, name: Name, code: number | null]>([
    [{}, 'roots', NO_METHOD],
    [{ roots: {} }, 'roots', null],
    [{ sampling: {}, elicitation: {} }, 'roots', NO_METHOD],

    [{}, 'sampling', NO_METHOD],
    [{ roots: {}, elicitation: { url: {} } }, 'sampling', NO_METHOD],
    [{ sampling: {} }, 'sampling', null],
    [{ sampling: { tools: {} } }, 'sampling', null],

    [{}, 'form', NO_METHOD],
    [{ roots: {}, sampling: {} }, 'form', NO_METHOD],
    [{ elicitation: {} }, 'form', null],
    [{ elicitation: {} }, 'named form', null],
    [{ elicitation: {} }, 'no params', null],
    [{ elicitation: { form: {} } }, 'form', null],
    [{ elicitation: { form: {}, url: {} } }, 'named form', null],

    [{ roots: {}, sampling: {}, elicitation: {} }, 'invented', NO_METHOD],
    [{ tasks: {} }, 'tasks', NO_METHOD],
  ])('%j, asked for %s: %s [B23 C5 G11]', (declares, name, code) => {
    expect(codeFor(name, declares)).toBe(code);
  });

  test.each<[declares: object, name: Name, code: number | null]>([
    [{}, 'url', NO_METHOD],
    [{ elicitation: {} }, 'url', INVALID_PARAMS],
    [{ elicitation: { form: {} } }, 'url', INVALID_PARAMS],
    [{ elicitation: { url: {} } }, 'url', null],
    [{ elicitation: { form: {}, url: {} } }, 'url', null],
    [{ elicitation: { url: {} } }, 'form', INVALID_PARAMS],
    [{ elicitation: { url: {} } }, 'named form', INVALID_PARAMS],
    [{ elicitation: { url: {} } }, 'no params', INVALID_PARAMS],
    [{ elicitation: { form: {}, url: {} } }, 'invented mode', INVALID_PARAMS],
    [{ elicitation: { form: {}, url: {} } }, 'mode that is no text', INVALID_PARAMS],
    [{ elicitation: { form: {}, url: {} } }, 'mode null', INVALID_PARAMS],
    [{}, 'invented mode', NO_METHOD],
  ])('and only by the modes of elicitation that it knows: %j, %s: %s [D4 G11]', (declares, name, code) => {
    expect(codeFor(name, declares)).toBe(code);
  });

  test.each<[declares: object, code: number | null]>([
    [{}, NO_METHOD],
    [{ sampling: {} }, INVALID_PARAMS],
    [{ sampling: { context: {} } }, INVALID_PARAMS],
    [{ sampling: { tools: {} } }, null],
  ])('and to sample with tools only if it can: %j: %s [D8 G11]', (declares, code) => {
    expect(codeFor('sampling with tools', declares)).toBe(code);
    expect(codeFor('sampling with a choice of tools', declares)).toBe(code);
  });

  test('tools are told by the member, whatever it holds or how it is written [D8]', () => {
    for (const tools of ['"tools":null', '"\\u0074ools":[]', '"tools":{"a":1}']) {
      const question = readAs(
        'request',
        `{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{${tools}}}`,
      );
      expect(refusalOf(question, profileOf({ sampling: {} }, '2025-11-25'))?.code).toBe(INVALID_PARAMS);
    }
    const inside = requestOf({ method: 'sampling/createMessage', params: { metadata: { tools: [] } } });
    expect(refusalOf(inside, profileOf({ sampling: {} }, '2025-11-25'))).toBeNull();
  });

  test('a mode is read with its escapes resolved [D4]', () => {
    const question = readAs(
      'request',
      '{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"m\\u006fde":"u\\u0072l"}}',
    );

    expect(refusalOf(question, profileOf({ elicitation: {} }, '2025-11-25'))?.code).toBe(INVALID_PARAMS);
    expect(refusalOf(question, profileOf({ elicitation: { url: {} } }, '2025-11-25'))).toBeNull();
  });
});

describe('and only for what its revision has', () => {
  const EVERYTHING = { roots: {}, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } };

  test.each<[name: Name, codes: readonly [march: number | null, june: number | null, november: number | null]]>([
    ['roots', [null, null, null]],
    ['sampling', [null, null, null]],
    ['sampling with tools', [INVALID_PARAMS, INVALID_PARAMS, null]],
    ['form', [NO_METHOD, null, null]],
    ['named form', [NO_METHOD, null, null]],
    ['url', [NO_METHOD, INVALID_PARAMS, null]],
    ['invented mode', [NO_METHOD, INVALID_PARAMS, INVALID_PARAMS]],
  ])('%s: %j [B23 C5 D4 D8]', (name, codes) => {
    const revisions = ['2025-03-26', '2025-06-18', '2025-11-25'] as const;

    expect(revisions.map((revision) => codeFor(name, EVERYTHING, revision))).toEqual(codes);
  });
});

test('the full profile can be asked all that is a question, the empty one nothing', () => {
  for (const name of ['roots', 'sampling', 'sampling with tools', 'form', 'url'] as const) {
    expect(refusalOf(requestOf(QUESTIONS[name]), FULL_PROFILE)).toBeNull();
    expect(refusalOf(requestOf(QUESTIONS[name]), EMPTY_PROFILE)?.code).toBe(NO_METHOD);
  }
});

describe('the upstream gets one answer, under its own id, where the client gives none', () => {
  const said = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  test.each<[method: string, answer: string]>([
    ['elicitation/create', '"result":{"action":"cancel"}'],
    // [spec 2025-11-25 sampling] "User rejected sampling request: -1".
    ['sampling/createMessage', '"error":{"code":-1,"message":"why"}'],
    ['roots/list', '"error":{"code":-32603,"message":"why"}'],
  ])('%s [G10 G23]', (method, answer) => {
    for (const id of ['7', '"7"', '"\\u0061"', '0', '-3', '12345678901234567890']) {
      expect(said(answerOfNobody({ method, id: encode(id) }, 'why'))).toBe(`{"jsonrpc":"2.0","id":${id},${answer}}`);
    }
  });

  test('a refusal has its code and its text [G10 G23]', () => {
    expect(said(refusal(encode('"7"'), { code: INVALID_PARAMS, message: 'no' }))).toBe(
      '{"jsonrpc":"2.0","id":"7","error":{"code":-32602,"message":"no"}}',
    );
  });
});
