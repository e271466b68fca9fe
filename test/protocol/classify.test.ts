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
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const MODERN_KEY = `"${VERSION}":"2026-07-28"`;
const ENVELOPE = `"_meta":{${MODERN_KEY},"${CAPABILITIES}":{}}`;
const MODERN = requestIn('tools/list');
const MODERN_CALL = requestIn('tools/call', '"name":"x"');
const MODERN_INITIALIZE = requestIn('initialize');
const MODERN_NOTIFICATION = MODERN.replace('"id":1,', '');

/** A request whose envelope has no fault. */
function requestIn(method: string, params = '', envelope = ENVELOPE): string {
  const members = [params, envelope].filter((part) => part !== '').join(',');
  return `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{${members}}}`;
}

type Rung =
  | 'open-session'
  | 'handshake'
  | 'session required'
  | 'batch'
  | 'session'
  | 'sessionless'
  | 'twice'
  | 'modern'
  | 'modern answer'
  | 'header mismatch'
  | 'envelope'
  | 'method unknown'
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
  if (result.code === 'header_mismatch') return 'header mismatch';
  if (result.code === 'envelope_incomplete') return 'envelope';
  if (result.code === 'method_unknown') return 'method unknown';
  if (result.why.includes('twice')) return 'twice';
  if (result.why.includes('by inputResponses')) return 'modern answer';
  if (result.why.includes('initialize must not carry')) return 'session on initialize';
  if (result.code === 'session_required') return 'session required';
  if (result.why.includes('batches exist')) return 'batch';
  return result.why;
}

const headers = (
  sessionId?: string | string[],
  protocolVersion?: string | string[],
  mode: Mode = 'auto',
): RequestFacts => ({ mode, sessionId, protocolVersion, headers: () => [] });

type Mcp = Readonly<Record<string, string | readonly string[]>>;

/** The headers of a modern request, the version first; as an HTTP parser gives them: names in any case. */
function modern(mcp: Mcp = { 'Mcp-Method': 'tools/list' }, version: string | null = '2026-07-28'): RequestFacts {
  const lines = Object.entries(mcp).map(([name, value]) => [name.toLowerCase(), [value].flat()] as const);
  return { ...headers(undefined, version ?? undefined), headers: (name) => new Map(lines).get(name) ?? [] };
}

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
  ['sessionless', 'another reserved key in _meta', MODERN.replace('/protocolVersion', '/other'), headers()],
  ['sessionless', 'the key beside _meta', CALL.replace('"name":"x"', MODERN_KEY), headers()],
])('%s: %s [B9 C2 C4]', (rung, _what, text, facts) => {
  expect(rungOf(classified(text, facts))).toBe(rung);
});

describe('the first rung that fits decides', () => {
  test.each<[first: Rung, second: Rung, text: string, facts: RequestFacts]>([
    ['twice', 'session on initialize', INITIALIZE, headers(['a', 'b'])],
    ['twice', 'unsupported version', CALL, headers(['a', 'b'], 'x')],
    ['twice', 'session on initialize', INITIALIZE, headers('a', ['x', 'y'])],
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
  ])('%s [B16 E1 E2]', (_what, text, sessionId, rungs) => {
    expect(MODES.map((mode) => rungOf(classified(text, { mode, sessionId })))).toEqual(rungs);
  });

  test('nothing of the modern era, which has no sessions', () => {
    for (const mode of MODES) {
      expect(rungOf(classified(MODERN, { ...modern(), mode }))).toBe('modern');
      expect(rungOf(classified(MODERN_NOTIFICATION, { ...modern(), mode }))).toBe('modern');
    }
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
    ['batch', 'one message of the modern era among others', [CALL, MODERN, CALL], headers()],
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
    data: { supported: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'], requested: '2024-11-05' },
  });
});

test('every other refusal of an older client is a plain invalid request', () => {
  const refusals = [
    classified(INITIALIZE, { sessionId: 'abc' }),
    classified(CALL, { sessionId: ['a', 'b'] }),
    classified(CALL, { protocolVersion: ['a', 'b'] }),
  ];

  for (const refusal of refusals) expect(refusal).toMatchObject({ mode: 'reject', code: 'invalid_request' });
});

describe('a message is of the modern era', () => {
  const incomplete = requestIn('tools/list', '', '"_meta":{}');

  test.each<[what: string, text: string, facts: RequestFacts]>([
    ['by the key', MODERN, headers()],
    ['by the key, written in escapes', MODERN.replace('io.', '\\u0069o.'), headers()],
    ['by the key, whatever its value', MODERN.replace('"2026-07-28"', 'null'), headers()],
    ['by the key, naming a revision that nobody knows', MODERN.replace('2026-07-28', '1900-01-01'), headers()],
    ['by the key, naming a revision that is still to come', MODERN.replace('2026-07-28', '2027-01-01'), headers()],
    ['by the key, also with a session id', MODERN, headers('abc')],
    ['by the key, also of an initialize', MODERN_INITIALIZE, headers()],
    ['by the header alone', incomplete, headers(undefined, '2026-07-28')],
    ['by the header alone, also on a live session', CALL, headers('abc', '2026-07-28')],
  ])('%s', (_what, text, facts) => {
    expect(rungOf(classified(text, facts))).toMatch(/^(?:header mismatch|envelope)$/);
  });

  test.each<[rung: Rung, what: string, text: string, facts: RequestFacts]>([
    ['sessionless', 'an empty _meta and an older revision in the header', incomplete, headers(undefined, '2025-11-25')],
    ['sessionless', 'an empty _meta and no header', incomplete, headers()],
    ['session', 'a progress token', requestIn('tools/list', '', '"_meta":{"progressToken":1}'), headers('abc')],
    [
      'open-session',
      'an empty _meta of initialize',
      INITIALIZE.replace('{"protocol', '{"_meta":{},"protocol'),
      headers(),
    ],
    [
      'sessionless',
      'capabilities without a version',
      requestIn('ping', '', `"_meta":{"${CAPABILITIES}":{}}`),
      headers(),
    ],
  ])('%s: not by %s [F19]', (rung, _what, text, facts) => {
    expect(rungOf(classified(text, facts))).toBe(rung);
  });

  test('initialize without an envelope opens a session, whatever revision its header names [F18]', () => {
    expect(rungOf(classified(INITIALIZE))).toBe('open-session');
    expect(rungOf(classified(INITIALIZE, modern({ 'Mcp-Method': 'initialize' })))).toBe('open-session');
  });

  test.each<[rung: Rung, facts: RequestFacts]>([
    ['header mismatch', headers(undefined, '2025-06-18')],
    ['header mismatch', headers(undefined, '2026-07-28')],
    ['header mismatch', headers('abc', '2025-06-18')],
    ['session', headers('abc')],
    ['session', headers('abc', '2025-11-25')],
    ['sessionless', headers()],
    ['sessionless', headers(undefined, '2025-11-25')],
  ])('not by an older revision in its key, which is %s with %j [F5 F19]', (rung, facts) => {
    expect(rungOf(classified(MODERN.replace('2026-07-28', '2025-11-25'), facts))).toBe(rung);
  });
});

describe('a modern request', () => {
  test.each<[method: string, more: string, mcp: Mcp]>([
    ['server/discover', '', {}],
    ['subscriptions/listen', '', {}],
    ['tools/list', '', {}],
    ['prompts/list', '', {}],
    ['resources/list', '', {}],
    ['resources/templates/list', '', {}],
    ['completion/complete', '', {}],
    ['tools/call', '"name":"x"', { 'Mcp-Name': 'x' }],
    ['prompts/get', '"name":"x"', { 'Mcp-Name': 'x' }],
    ['resources/read', '"uri":"file:///x"', { 'Mcp-Name': 'file:///x' }],
    // What it would name is missing: that is for the server to say.
    ['tools/call', '', {}],
  ])('%s is served if its headers say the same as its body', (method, more, mcp) => {
    const facts = modern({ 'Mcp-Method': method, ...mcp });

    expect(classified(requestIn(method, more), facts)).toEqual({ mode: 'modern' });
  });

  test('may have a Mcp-Name where nothing is named', () => {
    expect(rungOf(classified(MODERN, modern({ 'Mcp-Method': 'tools/list', 'Mcp-Name': 'x' })))).toBe('modern');
  });

  test('needs no clientInfo [F3]', () => {
    expect(MODERN).not.toContain('clientInfo');
    expect(rungOf(classified(MODERN, modern()))).toBe('modern');
  });

  test.each<[what: string, envelope: string]>([
    ['no _meta', ''],
    ['an empty _meta', '"_meta":{}'],
    ['a _meta that is no object', '"_meta":"x"'],
    ['no version', `"_meta":{"${CAPABILITIES}":{}}`],
    ['no capabilities', `"_meta":{${MODERN_KEY}}`],
    ['a version that is no text', `"_meta":{"${VERSION}":20260728,"${CAPABILITIES}":{}}`],
    ['capabilities that are no object', `"_meta":{${MODERN_KEY},"${CAPABILITIES}":[]}`],
    ['capabilities that are null', `"_meta":{${MODERN_KEY},"${CAPABILITIES}":null}`],
  ])('is incomplete with %s [F2]', (_what, envelope) => {
    const facts = modern();

    expect(rungOf(classified(requestIn('tools/list', '', envelope), facts))).toBe('envelope');
  });

  test('is refused without the version header, even if all else is right [F4]', () => {
    expect(rungOf(classified(MODERN, modern(undefined, null)))).toBe('header mismatch');
  });

  test.each<[inHeader: string | readonly string[], inBody: string]>([
    ['2025-11-25', '2026-07-28'],
    ['1900-01-01', '2026-07-28'],
    ['2026-07-28', '1900-01-01'],
    ['1900-01-01', '1900-01-02'],
    ['2025-11-25', '1900-01-01'],
    ['', '2026-07-28'],
    ['2026-07-28 ', '2026-07-28'],
    ['2026-07-28, 2026-07-28', '2026-07-28'],
    [['2026-07-28', '2026-07-28'], '2026-07-28'],
  ])('whose header says %j and whose body %j is refused for that [F5]', (inHeader, inBody) => {
    const facts = { ...modern(), protocolVersion: inHeader };

    expect(rungOf(classified(MODERN.replace('2026-07-28', inBody), facts))).toBe('header mismatch');
  });

  test.each(['1900-01-01', '2027-01-01', 'x', ''])(
    'of a revision %j that is not served is told which are [F6]',
    (version) => {
      const refusal = classified(MODERN.replace('2026-07-28', version), modern(undefined, version));

      expect(refusal).toMatchObject({
        code: 'unsupported_version',
        data: { supported: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'], requested: version },
      });
    },
  );

  test.each<[what: string, mcp: Mcp]>([
    ['is missing', {}],
    ['is empty', { 'Mcp-Method': '' }],
    ['is another one', { 'Mcp-Method': 'tools/call' }],
    ['is written in other letters', { 'Mcp-Method': 'Tools/List' }],
    ['is given twice', { 'Mcp-Method': ['tools/list', 'tools/list'] }],
    ['is in Base64, which is for names', { 'Mcp-Method': '=?base64?dG9vbHMvbGlzdA==?=' }],
  ])('whose Mcp-Method %s is refused for that [F8]', (_what, mcp) => {
    expect(rungOf(classified(MODERN, modern(mcp)))).toBe('header mismatch');
  });

  test('may write the names of its headers in any case, and space around their values [F8 F9]', () => {
    const facts = modern({ 'MCP-METHOD': ' tools/call\t', 'mcp-NAME': '\t x ' });

    expect(rungOf(classified(MODERN_CALL, facts))).toBe('modern');
  });

  describe.each<[method: string, member: string]>([
    ['tools/call', 'name'],
    ['prompts/get', 'name'],
    ['resources/read', 'uri'],
  ])('%s', (method, member) => {
    const named = (name: string, mcp: Mcp): string =>
      rungOf(
        classified(requestIn(method, `"${member}":${JSON.stringify(name)}`), modern({ 'Mcp-Method': method, ...mcp })),
      );

    test.each<[what: string, mcp: Mcp]>([
      ['is missing', {}],
      ['is another one', { 'Mcp-Name': 'y' }],
      ['is written in other letters', { 'Mcp-Name': 'X' }],
      ['is given twice', { 'Mcp-Name': ['x', 'x'] }],
    ])('whose Mcp-Name %s is refused for that [F9]', (_what, mcp) => {
      expect(named('x', mcp)).toBe('header mismatch');
    });

    test('takes its Mcp-Name in Base64 too [F9]', () => {
      expect(named('x', { 'Mcp-Name': '=?base64?eA==?=' })).toBe('modern');
      expect(named('日', { 'Mcp-Name': '=?base64?5pel?=' })).toBe('modern');
    });

    test('is refused for Base64 that is none, and takes other spellings of the mark as they are [F10]', () => {
      expect(named('x', { 'Mcp-Name': '=?base64?eA=?=' })).toBe('header mismatch');
      expect(named('x', { 'Mcp-Name': '=?base64?e*==?=' })).toBe('header mismatch');
      expect(named('x', { 'Mcp-Name': '=?BASE64?eA==?=' })).toBe('header mismatch');
      expect(named('=?BASE64?eA==?=', { 'Mcp-Name': '=?BASE64?eA==?=' })).toBe('modern');
    });
  });

  test.each([
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'resources/unsubscribe',
    'tasks/get',
    'tasks/result',
    'x/invented',
    'notifications/cancelled',
    '__proto__',
    '',
  ])('by the name of %j does not exist [F13]', (method) => {
    expect(rungOf(classified(requestIn(method), modern({ 'Mcp-Method': method })))).toBe('method unknown');
  });

  test('gets no session and resumes none, whatever it sends for that [F17]', () => {
    const facts = modern({ 'Mcp-Method': 'tools/list', 'Mcp-Session-Id': 'abc', 'Last-Event-ID': '1.1' });

    for (const sessionId of ['abc', '', 'a, b', ['a', 'b']]) {
      expect(classified(MODERN, { ...facts, sessionId, isLiveSession: true })).toEqual({ mode: 'modern' });
    }
  });
});

describe('of several faults of a modern request one decides', () => {
  const BOTH_UNKNOWN = MODERN.replace('2026-07-28', '1900-01-01');
  const NO_CAPABILITIES = MODERN.replace(CAPABILITIES, 'x/y');

  test.each<[first: Rung, second: string, text: string, facts: RequestFacts]>([
    ['header mismatch', 'no header before another version', BOTH_UNKNOWN, modern(undefined, null)],
    ['header mismatch', 'no header before an incomplete envelope', NO_CAPABILITIES, modern(undefined, null)],
    ['header mismatch', 'no header before no Mcp-Method', MODERN, modern({}, null)],
    [
      'header mismatch',
      'no header before an unknown method',
      requestIn('ping'),
      modern({ 'Mcp-Method': 'ping' }, null),
    ],
    ['header mismatch', 'another version before an unserved one', BOTH_UNKNOWN, modern(undefined, '1900-01-02')],
    [
      'header mismatch',
      'another version before an incomplete envelope',
      NO_CAPABILITIES,
      modern(undefined, '1900-01-02'),
    ],
    [
      'envelope',
      'an incomplete envelope before an unserved version',
      NO_CAPABILITIES.replace('2026-07-28', '1900-01-01'),
      modern(undefined, '1900-01-01'),
    ],
    ['envelope', 'an incomplete envelope before no Mcp-Method', NO_CAPABILITIES, modern({})],
    ['envelope', 'an incomplete envelope before an unknown method', requestIn('ping', '', ''), modern({})],
    ['unsupported version', 'an unserved version before no Mcp-Method', BOTH_UNKNOWN, modern({}, '1900-01-01')],
    [
      'unsupported version',
      'an unserved version before an unknown method',
      requestIn('ping').replace('2026-07-28', '1900-01-01'),
      modern({ 'Mcp-Method': 'ping' }, '1900-01-01'),
    ],
    [
      'header mismatch',
      'another Mcp-Method before an unknown method',
      requestIn('ping'),
      modern({ 'Mcp-Method': 'x' }),
    ],
    ['header mismatch', 'another Mcp-Method before another Mcp-Name', MODERN_CALL, modern({ 'Mcp-Name': 'x' })],
    [
      'method unknown',
      'an unknown method before another Mcp-Name',
      requestIn('resources/subscribe', '"uri":"x"'),
      modern({ 'Mcp-Method': 'resources/subscribe' }),
    ],
  ])('%s: %s', (rung, _what, text, facts) => {
    expect(rungOf(classified(text, facts))).toBe(rung);
  });

  test('an unknown revision is an older client’s where only the header names it', () => {
    expect(rungOf(classified(CALL, headers(undefined, '2027-01-01')))).toBe('unsupported version');
  });
});

describe('what is no request', () => {
  test('is taken as a notification of the modern era, whatever its headers say [F16]', () => {
    for (const facts of [modern(), modern({}), modern({}, null), headers('abc')]) {
      expect(rungOf(classified(MODERN_NOTIFICATION, facts))).toBe('modern');
    }
    expect(rungOf(classified(NOTIFICATION, modern({})))).toBe('modern');
  });

  test.each(['"result":{}', '"error":{"code":1,"message":"x"}'])(
    'is refused as an answer, since this revision asks nothing that it would answer: %s [F15]',
    (member) => {
      const answer = `{"jsonrpc":"2.0","id":1,${member}}`;

      expect(rungOf(classified(answer, modern()))).toBe('modern answer');
      expect(rungOf(classified(answer, { ...modern(), sessionId: 'abc' }))).toBe('modern answer');
    },
  );

  test('is refused as a batch, whatever the other messages are [F15]', () => {
    const together = (texts: readonly string[], facts: RequestFacts): string =>
      rungOf(classifyBatch(texts.map(messageOf), facts));

    for (const texts of [[MODERN], [MODERN, MODERN], [CALL, MODERN], [MODERN_NOTIFICATION]]) {
      expect(together(texts, headers())).toBe('batch');
      expect(together(texts, headers('abc', '2025-03-26'))).toBe('batch');
      expect(together(texts, modern())).toBe('batch');
    }
    for (const text of [CALL, NOTIFICATION, ANSWER, INITIALIZE]) expect(together([text], modern())).toBe('batch');
  });
});
