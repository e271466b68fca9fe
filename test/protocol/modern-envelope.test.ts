import { describe, expect, test } from 'vitest';
import { LOG_LEVELS } from '../../src/protocol/log-level.ts';
import { type Envelope, envelopeFault, readEnvelope } from '../../src/protocol/modern-envelope.ts';
import { readAs } from './read.ts';

const KEY = 'io.modelcontextprotocol/';
const VERSION = `"${KEY}protocolVersion":"2026-07-28"`;
const CAPABILITIES = `"${KEY}clientCapabilities"`;

const requestWith = (meta: string) =>
  readAs('request', `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":${meta}}}`);
const faultOf = (meta: string): string | null => envelopeFault(requestWith(meta));

/** Of an envelope that is complete but for what the test is about. */
const readOf = (more: string, capabilities = '{}'): Envelope =>
  readEnvelope(requestWith(`{${VERSION},${CAPABILITIES}:${capabilities}${more}}`));
const membersOf = (capabilities: string): string[] => [...readOf('', capabilities).profile.members];

describe('an envelope', () => {
  test('is complete with a revision and capabilities, whatever else it has [F3]', () => {
    expect(faultOf(`{${VERSION},${CAPABILITIES}:{}}`)).toBeNull();
    expect(faultOf(`{"x":1,${CAPABILITIES} : { } ,"progressToken":1,${VERSION}}`)).toBeNull();
    expect(faultOf(`{${VERSION},${CAPABILITIES}:{},"${KEY}clientInfo":{"name":"c","version":"1"}}`)).toBeNull();
  });

  test('may name any revision: whether it is served is another question', () => {
    expect(faultOf(`{"${KEY}protocolVersion":"","${KEY}clientCapabilities":{}}`)).toBeNull();
  });

  test.each<[what: string, meta: string, named: string]>([
    ['is empty', '{}', 'protocolVersion'],
    ['is no object', '[]', 'protocolVersion'],
    ['is null', 'null', 'protocolVersion'],
    ['has no revision', `{${CAPABILITIES}:{}}`, 'protocolVersion'],
    ['has a revision that is a number', `{"${KEY}protocolVersion":2026,${CAPABILITIES}:{}}`, 'protocolVersion'],
    ['has no capabilities', `{${VERSION}}`, 'clientCapabilities'],
    ['has capabilities that are null', `{${VERSION},${CAPABILITIES}:null}`, 'clientCapabilities'],
    ['has capabilities that are an array', `{${VERSION},${CAPABILITIES}:[]}`, 'clientCapabilities'],
    ['has capabilities that are a text', `{${VERSION},${CAPABILITIES}:"{}"}`, 'clientCapabilities'],
  ])('that %s says what is missing [F2]', (_what, meta, named) => {
    expect(faultOf(meta)).toContain(KEY + named);
  });

  test('is missing where there are no params, or no _meta in them [F2]', () => {
    for (const params of ['', ',"params":{}', ',"params":{"name":"x"}']) {
      const request = readAs('request', `{"jsonrpc":"2.0","id":1,"method":"tools/call"${params}}`);

      expect(envelopeFault(request)).toContain(`${KEY}protocolVersion`);
    }
  });

  // They are parsed for every request, so a client must not make us parse megabytes each time.
  test('is not read beyond 64 KiB', () => {
    const capabilities = (bytes: number): string => `{"x":"${'a'.repeat(bytes - '{"x":""}'.length)}"}`;

    expect(faultOf(`{${VERSION},${CAPABILITIES}:${capabilities(65_536)}}`)).toBeNull();
    expect(faultOf(`{${VERSION},${CAPABILITIES}:${capabilities(65_537)}}`)).toContain('65536 bytes');
    expect(faultOf(`{"${KEY}protocolVersion":"${'1'.repeat(65_536)}",${CAPABILITIES}:{}}`)).toContain('65536 bytes');
  });
});

describe('what a client of this revision can be asked', () => {
  test.each<[capabilities: string, members: readonly string[]]>([
    ['{}', []],
    ['{"roots":{}}', ['roots']],
    ['{"sampling":{}}', ['sampling']],
    ['{"sampling":{"tools":{},"context":{}}}', ['sampling', 'sampling.tools', 'sampling.context']],
    // [spec 2026-07-28 elicitation] an empty object declares forms alone.
    ['{"elicitation":{}}', ['elicitation.form']],
    ['{"elicitation":{"form":{}}}', ['elicitation.form']],
    ['{"elicitation":{"url":{}}}', ['elicitation.url']],
    ['{"elicitation":{"form":{},"url":{}}}', ['elicitation.form', 'elicitation.url']],
    ['{"extensions":{"x/y":{}},"experimental":{"z":{}},"tasks":{}}', []],
    ['{"roots":null,"sampling":true,"elicitation":[]}', []],
    ['{"__proto__":{"roots":{}}}', []],
  ])('%s: %j [F42]', (capabilities, members) => {
    expect(membersOf(capabilities)).toEqual(members);
  });
});

describe('the log level', () => {
  const levelOf = (more: string): Envelope['logLevel'] => readOf(more).logLevel;

  test('is none where none is asked for [F31]', () => {
    expect(levelOf('')).toBeNull();
  });

  test.each(LOG_LEVELS)('is %s [F31]', (level) => {
    expect(levelOf(`,"${KEY}logLevel":"${level}"`)).toBe(level);
    expect(
      levelOf(`,"${KEY}logLevel":"\\u${level.charCodeAt(0).toString(16).padStart(4, '0')}${level.slice(1)}"`),
    ).toBe(level);
  });

  test.each(['"Info"', '"trace"', '""', 'null', '7', '{}', '["info"]'])('cannot be %s [F31]', (level) => {
    expect(levelOf(`,"${KEY}logLevel":${level}`)).toBeUndefined();
  });
});

describe('the progress token', () => {
  test.each(['7', '"7"', '"\\u0061"', '12345678901234567890', '1.50'])('keeps its bytes: %s [F32]', (token) => {
    const { progressToken } = readOf(`,"progressToken": ${token} `);

    expect(progressToken === null ? null : Buffer.from(progressToken).toString()).toBe(token);
  });

  test('is none where none is sent [F32]', () => {
    expect(readOf('').progressToken).toBeNull();
  });

  test('does not keep the request alive', () => {
    const { progressToken } = readOf(',"progressToken":"abc"');

    expect(progressToken?.buffer.byteLength).toBe(5);
  });
});
