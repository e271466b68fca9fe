import { describe, expect, test } from 'vitest';
import { type Classified, classify, classifyBatch } from '../../src/protocol/classify.ts';
import type { Mode, RequestFacts } from '../../src/protocol/request-facts.ts';
import type { Message } from '../../src/protocol/json-rpc.ts';
import { read } from './read.ts';

const MODES: readonly Mode[] = ['auto', 'stateless', 'session'];

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}';
const INITIALIZE = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}';
const NOTIFICATION = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{}}';
const MODERN_KEY = '"io.modelcontextprotocol/protocolVersion":"2026-07-28"';
const MODERN = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{${MODERN_KEY}}}}`;
const MODERN_INITIALIZE = MODERN.replace('tools/list', 'initialize');

type Rung =
  | 'open-session'
  | 'handshake'
  | 'session required'
  | 'batch'
  | 'session'
  | 'sessionless'
  | 'twice'
  | 'modern'
  | 'session on initialize'
  | 'unsupported version';

function messageOf(text: string): Message {
  const message = read(text);
  if (message.kind === 'unreadable') throw new Error(message.why);
  return message;
}

function classified(text: string | null, facts: Partial<RequestFacts> = {}): Classified {
  return classify(text === null ? null : messageOf(text), { ...headers(), ...facts });
}

/** Which rung of the ladder it was. */
function rungOf(result: Classified): string {
  if (result.mode !== 'reject') return result.mode;
  if (result.code === 'unsupported_version') return 'unsupported version';
  if (result.why.includes('twice')) return 'twice';
  if (result.why.includes('open with initialize')) return 'modern';
  if (result.why.includes('initialize must not carry')) return 'session on initialize';
  if (result.code === 'session_required') return 'session required';
  if (result.why.includes('batches exist')) return 'batch';
  return result.why;
}

const headers = (
  sessionId?: string | string[],
  protocolVersion?: string | string[],
  mode: Mode = 'auto',
): RequestFacts => ({ mode, sessionId, protocolVersion });

test.each<[rung: Rung, what: string, text: string, facts: RequestFacts]>([
  ['sessionless', 'a call without headers', CALL, headers()],
  ['sessionless', 'a call with a served version', CALL, headers(undefined, '2025-06-18')],
  ['sessionless', 'a call with the oldest served version', CALL, headers(undefined, '2025-03-26')],
  ['sessionless', 'a call with the latest version', CALL, headers(undefined, '2025-11-25')],
  ['sessionless', 'a notification', NOTIFICATION, headers()],
  ['sessionless', 'an answer', ANSWER, headers()],
  ['session', 'a call with a session id', CALL, headers('abc')],
  ['session', 'a call with a session id and a served version', CALL, headers('abc', '2025-03-26')],
  ['session', 'an empty session id, which no session has', CALL, headers('')],
  ['session', 'a notification with a session id', NOTIFICATION, headers('abc')],
  ['session', 'an answer with a session id', ANSWER, headers('abc')],
  ['open-session', 'initialize', INITIALIZE, headers()],
  ['open-session', 'initialize with a served version', INITIALIZE, headers(undefined, '2025-11-25')],
  ['open-session', 'initialize with the version of a later revision', INITIALIZE, headers(undefined, '2026-07-28')],
  ['sessionless', 'a notification called initialize', '{"jsonrpc":"2.0","method":"initialize"}', headers()],
  ['sessionless', 'Initialize in other letters', INITIALIZE.replace('"initialize"', '"Initialize"'), headers()],
  [
    'unsupported version',
    'initialize with a version older than we serve',
    INITIALIZE,
    headers(undefined, '2024-11-05'),
  ],
  [
    'unsupported version',
    'initialize with a version that nobody has heard of',
    INITIALIZE,
    headers(undefined, '2099-01-01'),
  ],
  ['unsupported version', 'initialize with a version that is no date', INITIALIZE, headers(undefined, 'latest')],
  ['unsupported version', 'initialize with an empty version', INITIALIZE, headers(undefined, '')],
  ['unsupported version', 'initialize with a date and more', INITIALIZE, headers(undefined, '2026-07-28x')],
  ['unsupported version', 'a call with a version older than we serve', CALL, headers(undefined, '2024-11-05')],
  ['unsupported version', 'a call with a later version', CALL, headers(undefined, '2026-07-28')],
  ['unsupported version', 'a call with an empty version', CALL, headers(undefined, '')],
  ['unsupported version', 'a version with spaces', CALL, headers(undefined, ' 2025-06-18')],
  ['unsupported version', 'two equal versions joined by Node', CALL, headers(undefined, '2025-06-18, 2025-06-18')],
  ['unsupported version', 'an unserved version on a live session', CALL, headers('abc', '2024-11-05')],
  ['unsupported version', 'a notification with an unserved version', NOTIFICATION, headers(undefined, 'x')],
  ['unsupported version', 'an answer with an unserved version', ANSWER, headers('abc', 'x')],
  ['twice', 'two session ids', CALL, headers(['a', 'a'])],
  ['twice', 'two session ids joined by Node', CALL, headers('a, a')],
  ['twice', 'two versions', CALL, headers(undefined, ['2025-06-18', '2025-06-18'])],
  ['session on initialize', 'initialize with a session id', INITIALIZE, headers('abc')],
  ['session on initialize', 'initialize with an empty session id', INITIALIZE, headers('')],
  ['modern', 'the key of the modern era', MODERN, headers()],
  ['modern', 'the key in escapes', MODERN.replace('io.', '\\u0069o.'), headers()],
  ['modern', 'the key with a value that is no text', MODERN.replace('"2026-07-28"', 'null'), headers()],
  ['modern', 'the key and a session id', MODERN, headers('abc')],
  ['modern', 'the key and a version of its own era', MODERN, headers(undefined, '2026-07-28')],
  ['sessionless', 'another reserved key in _meta', MODERN.replace('/protocolVersion', '/other'), headers()],
  ['sessionless', 'the key beside _meta', CALL.replace('"name":"x"', MODERN_KEY), headers()],
  ['sessionless', 'the key in _meta of a notification', MODERN.replace('"id":1,', ''), headers()],
])('%s: %s [B9 C2 C4]', (rung, _what, text, facts) => {
  expect(rungOf(classified(text, facts))).toBe(rung);
});

describe('the first rung that fits decides', () => {
  test.each<[first: Rung, second: Rung, text: string, facts: RequestFacts]>([
    ['twice', 'modern', MODERN, headers(['a', 'b'])],
    ['twice', 'session on initialize', INITIALIZE, headers(['a', 'b'])],
    ['twice', 'unsupported version', CALL, headers(['a', 'b'], 'x')],
    ['twice', 'modern', MODERN, headers(undefined, ['x', 'y'])],
    ['twice', 'session on initialize', INITIALIZE, headers('a', ['x', 'y'])],
    ['modern', 'session on initialize', MODERN_INITIALIZE, headers('abc')],
    ['modern', 'open-session', MODERN_INITIALIZE, headers()],
    ['modern', 'unsupported version', MODERN, headers('abc', 'x')],
    ['session on initialize', 'unsupported version', INITIALIZE, headers('abc', 'x')],
    ['unsupported version', 'session', CALL, headers('abc', 'x')],
  ])('%s before %s', (first, _second, text, facts) => {
    expect(rungOf(classified(text, facts))).toBe(first);
  });
});

describe('how an upstream is served decides what becomes of', () => {
  test.each<[what: string, text: string | null, sessionId: string | undefined, rungs: readonly [Rung, Rung, Rung]]>([
    ['initialize', INITIALIZE, undefined, ['open-session', 'handshake', 'open-session']],
    [
      'initialize with a session id',
      INITIALIZE,
      'abc',
      ['session on initialize', 'session on initialize', 'session on initialize'],
    ],
    ['a call', CALL, undefined, ['sessionless', 'sessionless', 'session required']],
    ['a notification', NOTIFICATION, undefined, ['sessionless', 'sessionless', 'session required']],
    ['an answer', ANSWER, undefined, ['sessionless', 'sessionless', 'session required']],
    ['no message', null, undefined, ['sessionless', 'sessionless', 'session required']],
    // A session that does not exist is an unknown one, whatever the mode.
    ['a call with a session id', CALL, 'abc', ['session', 'session', 'session']],
    ['no message with a session id', null, 'abc', ['session', 'session', 'session']],
    ['a message of the modern era', MODERN, undefined, ['modern', 'modern', 'modern']],
  ])('%s [B16 E1 E2]', (_what, text, sessionId, rungs) => {
    expect(MODES.map((mode) => rungOf(classified(text, { mode, sessionId })))).toEqual(rungs);
  });

  test('what comes first on the ladder is refused first, whatever the mode', () => {
    for (const mode of MODES) {
      expect(rungOf(classified(CALL, { mode, protocolVersion: '2024-11-05' }))).toBe('unsupported version');
      expect(rungOf(classified(INITIALIZE, { mode, protocolVersion: 'x' }))).toBe('unsupported version');
      expect(rungOf(classified(null, { mode, sessionId: ['a', 'b'] }))).toBe('twice');
    }
  });

  test('a refusal for want of a session is a plain 400, not the 404 of a session that is over [B16]', () => {
    expect(classified(CALL, { mode: 'session' })).toMatchObject({ mode: 'reject', code: 'session_required' });
  });
});

describe('no message, but a GET or DELETE', () => {
  test.each<[rung: Rung, facts: RequestFacts]>([
    ['session', headers('abc')],
    ['session', headers('abc', '2025-06-18')],
    ['session', headers('')],
    ['sessionless', headers()],
    ['unsupported version', headers('abc', '2099-01-01')],
    ['unsupported version', headers(undefined, '2024-11-05')],
    ['twice', headers('a,b')],
    ['twice', headers('abc', ['2025-06-18', '2025-06-18'])],
  ])('is %s with %j', (rung, facts) => {
    expect(rungOf(classified(null, facts))).toBe(rung);
  });
});

describe('a batch', () => {
  const together = (texts: readonly string[], facts: Partial<RequestFacts> = {}): string =>
    rungOf(classifyBatch(texts.map(messageOf), { ...headers(), ...facts }));

  test.each<[rung: Rung, what: string, texts: readonly string[], facts: RequestFacts]>([
    ['sessionless', 'calls without headers', [CALL, CALL], headers()],
    ['sessionless', 'calls of the one revision that has batches', [CALL], headers(undefined, '2025-03-26')],
    ['sessionless', 'notifications', [NOTIFICATION], headers()],
    ['sessionless', 'answers', [ANSWER], headers()],
    ['session', 'calls of a session', [CALL, NOTIFICATION], headers('abc')],
    // What was agreed on decides, not the header.
    ['session', 'calls of a session with another served version', [CALL], headers('abc', '2025-06-18')],
    ['batch', 'calls of a later revision', [CALL], headers(undefined, '2025-06-18')],
    ['batch', 'calls of the latest revision', [CALL, CALL], headers(undefined, '2025-11-25')],
    ['unsupported version', 'calls of a version that is not served', [CALL], headers(undefined, '2099-01-01')],
    ['unsupported version', 'the same in a session', [CALL], headers('abc', '2099-01-01')],
    ['modern', 'one message of the modern era among others', [CALL, MODERN, CALL], headers()],
    ['session on initialize', 'initialize among the calls of a session', [CALL, INITIALIZE], headers('abc')],
    ['twice', 'two session ids', [CALL], headers(['a', 'b'])],
    [
      'session required',
      'calls without a session where one is needed',
      [CALL],
      headers(undefined, undefined, 'session'),
    ],
    ['session required', 'answers where a session is needed', [ANSWER], headers(undefined, undefined, 'session')],
    ['sessionless', 'calls where there are no sessions', [CALL], headers(undefined, undefined, 'stateless')],
  ])('%s: %s [B9]', (rung, _what, texts, facts) => {
    expect(together(texts, facts)).toBe(rung);
  });

  test('opens no session, in any mode: initialize in it is left to the rules for batches [B7]', () => {
    for (const mode of MODES) {
      expect(together([INITIALIZE], { mode })).not.toMatch(/open-session|handshake/);
    }
  });
});

test('a session keeps the id as the client sent it', () => {
  expect(classified(CALL, { sessionId: ' AbC-_=' })).toEqual({ mode: 'session', sessionId: ' AbC-_=' });
});

test('an unsupported version is answered with those that are', () => {
  expect(classified(CALL, { protocolVersion: '2024-11-05' })).toMatchObject({
    mode: 'reject',
    code: 'unsupported_version',
    data: { supported: ['2025-11-25', '2025-06-18', '2025-03-26'], requested: '2024-11-05' },
  });
});

test('every other refusal is a plain invalid request, so that a client of both eras goes on with initialize', () => {
  const refusals = [
    classified(MODERN),
    classified(INITIALIZE, { sessionId: 'abc' }),
    classified(CALL, { sessionId: ['a', 'b'] }),
    classified(CALL, { protocolVersion: ['a', 'b'] }),
  ];

  for (const refusal of refusals) expect(refusal).toMatchObject({ mode: 'reject', code: 'invalid_request' });
});
