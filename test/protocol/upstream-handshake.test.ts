import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { UPSTREAM_REVISIONS } from '../../src/protocol/eras.ts';
import { type Answer, encode } from '../../src/protocol/json-rpc.ts';
import {
  INITIALIZED,
  type ServerOffers,
  initializeRequest,
  readInitializeAnswer,
} from '../../src/protocol/upstream-handshake.ts';
import { read } from './read.ts';

function answer(text: string): Answer {
  const message = read(text);
  if (message.kind !== 'result' && message.kind !== 'error') throw new Error(`no answer: ${text}`);
  return message;
}

function result(members: string): Answer {
  return answer(`{"jsonrpc":"2.0","id":1,"result":${members}}`);
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}

describe('our initialize', () => {
  test('says what the link offers, and nothing else', () => {
    const offer = {
      revision: '2025-11-25',
      capabilities: encode('{"sampling":{},"elicitation":{"url":{}}}'),
      clientInfo: encode('{"name":"a","version":"1"}'),
    } as const;

    expect(JSON.parse(Buffer.from(initializeRequest(41, offer)).toString())).toEqual({
      jsonrpc: '2.0',
      id: 41,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: { sampling: {}, elicitation: { url: {} } },
        clientInfo: { name: 'a', version: '1' },
      },
    });
  });

  test('carries capabilities and clientInfo byte for byte', () => {
    const capabilities = '{ "experimental" : {"x":1.0,"big":9007199254740993,"__proto__":{}} }';
    const clientInfo = '{ "name":"\\ud800é","version":1.0,"x":{"__proto__":1},"big":9007199254740993 }';
    const offer = {
      revision: '2024-11-05',
      capabilities: encode(capabilities),
      clientInfo: encode(clientInfo),
    } as const;

    const text = Buffer.from(initializeRequest(1, offer)).toString();

    expect(text).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":' +
        `{"protocolVersion":"2024-11-05","capabilities":${capabilities},"clientInfo":${clientInfo}}}`,
    );
    expect(read(text).kind).toBe('request');
  });

  test('is followed by a notification without params', () => {
    expect(Buffer.from(INITIALIZED).toString()).toBe('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  });
});

describe('the answer to it', () => {
  test.each(UPSTREAM_REVISIONS)('sets the revision of the link: %s', (revision) => {
    const given = result(`{"protocolVersion":"${revision}","capabilities":{},"serverInfo":{"name":"s","version":"2"}}`);

    expect(readInitializeAnswer(given)).toEqual({
      revision,
      answer: given,
      server: 's 2',
      serverInfo: Buffer.from('{"name":"s","version":"2"}'),
      offers: {
        logging: false,
        completions: false,
        subscribe: false,
        lists: [],
        listChanges: [],
        identity: expect.any(String),
      },
    });
  });

  test.each<[what: string, serverInfo: string, server: string]>([
    ['a name and a version', '{"name":"a b","version":"1.2"}', 'a b 1.2'],
    ['a name only', '{"name":"a"}', 'a'],
    ['a version only', '{"version":"1"}', '1'],
    ['parts that are no text', '{"name":{"toString":1},"version":[1]}', 'unknown'],
    ['nothing', '{}', 'unknown'],
    ['null', 'null', 'unknown'],
    ['text', '"me"', 'unknown'],
    ['an array', '["name"]', 'unknown'],
    ['names from a prototype', '{"__proto__":{"name":"x"}}', 'unknown'],
  ])('names the server by %s', (_what, serverInfo, server) => {
    const given = result(`{"protocolVersion":"2025-06-18","serverInfo":${serverInfo}}`);

    expect(readInitializeAnswer(given).server).toBe(server);
  });

  test('a name is cut where it is longer than a log line should be', () => {
    const given = result(`{"protocolVersion":"2025-06-18","serverInfo":{"name":"${'x'.repeat(5000)}"}}`);

    expect(readInitializeAnswer(given).server).toHaveLength(200);
  });

  test.each<[what: string, text: string]>([
    ['no version', '{"capabilities":{}}'],
    ['a version that is not known', '{"protocolVersion":"2023-01-01"}'],
    ['a version of the modern era', '{"protocolVersion":"2026-07-28"}'],
    ['a version that is no text', '{"protocolVersion":20250618}'],
    ['a version in an array', '{"protocolVersion":["2025-06-18"]}'],
    ['a version from a prototype', '{"__proto__":{"protocolVersion":"2025-06-18"}}'],
  ])('%s ends the link as a wrong version [G4]', (_what, text) => {
    expect(thrownBy(() => readInitializeAnswer(result(text)))).toMatchObject({ code: 'upstream_version' });
  });

  test.each(['null', '"2025-06-18"', '7', 'true', '[]'])('a result that is no object (%s) fails it', (text) => {
    expect(thrownBy(() => readInitializeAnswer(result(text)))).toMatchObject({ code: 'initialize_failed' });
  });

  test('an error fails it, and neither its code nor its text is told: clients look for numbers in ours', () => {
    const refused = answer('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"the secret is x"}}');
    const thrown = thrownBy(() => readInitializeAnswer(refused));

    expect(thrown).toBeInstanceOf(ProxyError);
    expect(thrown).toMatchObject({ code: 'initialize_failed', message: expect.not.stringContaining('-32602') });
    expect(String(thrown)).not.toContain('secret');
  });

  // The peer's fault is never ours, so never an `internal_error`.
  test.each<[what: string, code: string]>([
    ['is absent', 'null'],
    ['is an object', '{}'],
    ['cannot become text', '{"toString":1,"valueOf":1}'],
  ])('an error whose code %s fails it as the upstream’s fault', (_what, code) => {
    const refused = answer(`{"jsonrpc":"2.0","id":1,"error":{"code":${code},"message":""}}`);

    expect(thrownBy(() => readInitializeAnswer(refused))).toMatchObject({ code: 'initialize_failed' });
  });

  test('an error whose code is text does not get that text into our message', () => {
    const refused = answer(`{"jsonrpc":"2.0","id":1,"error":{"code":"the secret is ${'x'.repeat(5000)}"}}`);

    expect(String(thrownBy(() => readInitializeAnswer(refused))).includes('secret')).toBe(false);
  });

  // To a first-wins reader this server speaks another revision than to us, and the version that a session’s client is
  // told could not be put into such an answer.
  test('a version that is given twice is refused', () => {
    const given = result('{"protocolVersion":"2024-11-05","protocolVersion":"2025-06-18"}');

    expect(thrownBy(() => readInitializeAnswer(given))).toBeInstanceOf(ProxyError);
  });
});

describe('what the upstream offers', () => {
  const offersOf = (capabilities: string, more = ''): ServerOffers =>
    readInitializeAnswer(result(`{"protocolVersion":"2025-06-18","capabilities":${capabilities}${more}}`)).offers;

  test.each<[capabilities: string, logging: boolean, subscribe: boolean, lists: readonly string[]]>([
    ['{}', false, false, []],
    ['null', false, false, []],
    ['"all"', false, false, []],
    ['{"logging":{}}', true, false, []],
    ['{"logging":{"x":1}}', true, false, []],
    ['{"logging":true}', false, false, []],
    ['{"logging":null}', false, false, []],
    ['{"resources":{}}', false, false, ['resources']],
    ['{"resources":{"subscribe":true}}', false, true, ['resources']],
    ['{"resources":{"subscribe":false,"listChanged":true}}', false, false, ['resources']],
    ['{"resources":{"subscribe":"true"}}', false, false, ['resources']],
    ['{"resources":{"subscribe":{}}}', false, false, ['resources']],
    ['{"subscribe":true}', false, false, []],
    [
      '{"resources":{},"tools":{},"completions":{},"prompts":{},"logging":{}}',
      true,
      false,
      ['tools', 'prompts', 'resources'],
    ],
    ['{"tools":{"listChanged":false}}', false, false, ['tools']],
    ['{"tools":null,"prompts":1}', false, false, []],
    ['{"__proto__":{"logging":{},"tools":{}}}', false, false, []],
    ['{"resources":{"__proto__":{"subscribe":true}}}', false, false, ['resources']],
  ])('%s [G19 G20]', (capabilities, logging, subscribe, lists) => {
    expect(offersOf(capabilities)).toMatchObject({ logging, subscribe, lists });
  });

  test('is the same server as long as the bytes of its name and its capabilities are the same', () => {
    const tools = '{"tools":{}}';
    const one = ',"serverInfo":{"name":"a","version":"1"}';
    const before = offersOf(tools, one).identity;

    expect(offersOf(tools, `${one},"instructions":"other"`).identity).toBe(before);
    const others = [
      offersOf(tools, one.replace('"1"', '"2"')),
      offersOf('{"tools":{"listChanged":true}}', one),
      offersOf('{}', one),
      offersOf(tools),
      readInitializeAnswer(result('{"protocolVersion":"2025-06-18"}')).offers,
    ].map(({ identity }) => identity);
    expect(new Set([before, ...others]).size).toBe(6);
  });

  test.each(['"capabilities":{},"capabilities":{"tools":{}}', '"serverInfo":{},"serverInfo":{"name":"x"}'])(
    'cannot be told where it is given twice: %s',
    (members) => {
      const given = result(`{"protocolVersion":"2025-06-18",${members}}`);

      expect(thrownBy(() => readInitializeAnswer(given))).toMatchObject({ code: 'initialize_failed' });
    },
  );
});
