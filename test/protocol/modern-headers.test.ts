import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type HeaderValues,
  decodedHeader,
  isSameNumber,
  methodHeaderFault,
  nameHeaderFault,
} from '../../src/protocol/modern-headers.ts';

/** The headers of a request, as an HTTP parser gives them: names in any case. */
function headersOf(...lines: readonly [name: string, value: string][]): HeaderValues {
  return (name) => lines.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

describe('what a header value stands for', () => {
  test.each<[what: string, value: string, text: string | null]>([
    ['plain', 'us-west1', 'us-west1'],
    ['spaces inside', 'us west 1', 'us west 1'],
    ['a tab inside', 'a\tb', 'a\tb'],
    ['white space around it', ' \t us-west1\t ', 'us-west1'],
    ['nothing', '', ''],
    ['nothing but white space', ' \t', ''],
    ['all of visible ASCII', ascii(0x21, 0x7e), ascii(0x21, 0x7e)],
    ['a number', '42', '42'],
    ['a URI', 'file:///path/to/file%20name.txt', 'file:///path/to/file%20name.txt'],
    ['a line feed', 'a\nb', null],
    ['a carriage return', 'a\rb', null],
    ['a null character', 'a\0', null],
    ['DEL', 'a\x7f', null],
    ['a letter of Latin-1', 'Région', null],
    ['the bytes of UTF-8', Buffer.from('日本').toString('latin1'), null],
    ['white space that is none in HTTP', '\u00a0a', null],
  ])('%s', (_what, value, text) => {
    expect(decodedHeader(value)).toBe(text);
  });

  // The tables of the specification and of SEP-2243.
  test.each<[value: string, text: string]>([
    ['=?base64?SGVsbG8sIOS4lueVjA==?=', 'Hello, 世界'],
    ['=?base64?IHBhZGRlZCA=?=', ' padded '],
    ['=?base64?bGluZTEKbGluZTI=?=', 'line1\nline2'],
    ['=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=', '=?base64?literal?='],
    ['=?base64?IHVzLXdlc3Qx?=', ' us-west1'],
    ['=?base64?dXMtd2VzdDEg?=', 'us-west1 '],
    ['=?base64?IHVzLXdlc3QxIA==?=', ' us-west1 '],
    ['=?base64?5pel5pys6Kqe?=', '日本語'],
    ['=?base64?bGluZTENCmxpbmUy?=', 'line1\r\nline2'],
    ['=?base64?CWluZGVudGVk?=', '\tindented'],
    ['=?base64?SGVsbG8=?=', 'Hello'],
    ['=?base64??=', ''],
    ['  =?base64?SGVsbG8=?=\t', 'Hello'],
    ['=?base64?77u/YQ==?=', '\ufeffa'],
  ])('%s is decoded', (value, text) => {
    expect(decodedHeader(value)).toBe(text);
  });

  test.each<[what: string, value: string]>([
    ['no prefix', 'SGVsbG8='],
    ['no suffix', '=?base64?SGVsbG8='],
    ['half a suffix', '=?base64?SGVsbG8=?'],
    ['a prefix in other letters', '=?BASE64?SGVsbG8=?='],
    ['a prefix in mixed letters', '=?Base64?SGVsbG8=?='],
    ['another encoding', '=?utf-8?B?SGVsbG8=?='],
    ['something before it', 'x=?base64?SGVsbG8=?='],
    ['something behind it', '=?base64?SGVsbG8=?=x'],
    ['the prefix alone', '=?base64?'],
  ])('%s: taken literally', (_what, value) => {
    expect(decodedHeader(value)).toBe(value);
  });

  test.each<[what: string, value: string]>([
    ['padding missing', '=?base64?SGVsbG8?='],
    ['too much padding', '=?base64?SGVsbG8==?='],
    ['padding alone', '=?base64?====?='],
    ['characters outside the alphabet', '=?base64?SGVs!!!bG8=?='],
    ['the alphabet of URLs', '=?base64?PT9iYXNlNjQ_bGl0ZXJhbD89?='],
    ['white space in it', '=?base64?SGVs bG8=?='],
    ['two texts', '=?base64?SGVsbG8=SGVsbG8=?='],
    ['spare bits that are not zero', '=?base64?SGVsbG9=?='],
    ['bytes that are no UTF-8', '=?base64?/w==?='],
    ['UTF-8 that ends too early', '=?base64?5pc=?='],
    ['half of a surrogate pair', '=?base64?7aCA?='],
    ['a prefix and a suffix that share a character', '=?base64?='],
    ['itself in it', '=?base64?=?base64?SGVsbG8=?=?='],
  ])('%s: stands for nothing', (_what, value) => {
    expect(decodedHeader(value)).toBeNull();
  });

  test('any text comes back from the encoding that clients use', () => {
    const property = fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      expect(decodedHeader(` ${base64(text)}`)).toBe(text);
      if (/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text)) {
        expect(decodedHeader(text)).toBe(text);
      }
    });

    fc.assert(property, { numRuns: 2000 });
  });

  test('a text has one spelling in Base64', () => {
    const spelled = fc.string({
      unit: fc.constantFrom('A', 'Q', 'w', '9', '+', '/', '=', '-', '_', ' '),
      maxLength: 12,
    });

    fc.assert(
      fc.property(spelled, (spelling) => {
        const text = decodedHeader(`=?base64?${spelling}?=`);
        expect(text === null || base64(text) === `=?base64?${spelling}?=`).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('Mcp-Method', () => {
  test.each<[what: string, name: string, value: string]>([
    ['as it should be', 'Mcp-Method', 'tools/call'],
    ['its name in small letters', 'mcp-method', 'tools/call'],
    ['its name in capitals', 'MCP-METHOD', 'tools/call'],
    ['white space around the value', 'Mcp-Method', '  tools/call\t'],
  ])('%s: accepted', (_what, name, value) => {
    expect(methodHeaderFault(headersOf([name, value]), 'tools/call')).toBeNull();
  });

  test.each<[what: string, values: readonly string[], fault: string]>([
    ['missing', [], 'the header Mcp-Method is missing'],
    ['empty', [''], 'the header Mcp-Method says "", the body says "tools/call"'],
    ['another method', ['prompts/get'], 'the header Mcp-Method says "prompts/get", the body says "tools/call"'],
    ['other letters', ['TOOLS/CALL'], 'the header Mcp-Method says "TOOLS/CALL", the body says "tools/call"'],
    ['given twice', ['tools/call', 'tools/call'], 'the header Mcp-Method is given 2 times'],
    [
      'joined',
      ['tools/call, tools/call'],
      'the header Mcp-Method says "tools/call, tools/call", the body says "tools/call"',
    ],
    [
      'encoded',
      ['=?base64?dG9vbHMvY2FsbA==?='],
      'the header Mcp-Method says "=?base64?dG9vbHMvY2FsbA==?=", the body says "tools/call"',
    ],
    ['of other characters', ['tools/cäll'], 'the header Mcp-Method holds characters or Base64 that it must not'],
  ])('%s: refused', (_what, values, fault) => {
    const headers = headersOf(...values.map((value): [string, string] => ['Mcp-Method', value]));

    expect(methodHeaderFault(headers, 'tools/call')).toBe(fault);
  });

  test('a method that looks encoded is compared as it is', () => {
    const method = base64('tools/call');

    expect(methodHeaderFault(headersOf(['Mcp-Method', method]), method)).toBeNull();
  });

  test('a method of other characters cannot be right, even where the bytes are equal', () => {
    expect(methodHeaderFault(headersOf(['Mcp-Method', 'é']), 'é')).not.toBeNull();
  });
});

describe('Mcp-Name', () => {
  test.each<[value: string, name: string]>([
    ['get_weather', 'get_weather'],
    ['my-tool-name', 'my-tool-name'],
    ['file:///path/to/file%20name.txt', 'file:///path/to/file%20name.txt'],
    ['https://example.com/resource?id=123', 'https://example.com/resource?id=123'],
    ['  foo ', 'foo'],
    ['', ''],
    [base64('get_weather'), 'get_weather'],
    [base64('天気'), '天気'],
    [base64(' foo '), ' foo '],
    ['=?BASE64?Zm9v?=', '=?BASE64?Zm9v?='],
    [base64('=?base64?Zm9v?='), '=?base64?Zm9v?='],
    ['__proto__', '__proto__'],
  ])('%j is %j', (value, name) => {
    expect(nameHeaderFault(headersOf(['mcp-name', value]), name)).toBeNull();
  });

  test.each<[what: string, values: readonly string[], fault: string]>([
    ['missing', [], 'the header Mcp-Name is missing'],
    ['another name', ['bar'], 'the header Mcp-Name says "bar", the body says "foo"'],
    ['other letters', ['Foo'], 'the header Mcp-Name says "Foo", the body says "foo"'],
    ['another name, encoded', [base64('bar\n')], 'the header Mcp-Name says "bar\\n", the body says "foo"'],
    ['white space that is encoded', [base64('foo ')], 'the header Mcp-Name says "foo ", the body says "foo"'],
    ['given twice', ['foo', 'foo'], 'the header Mcp-Name is given 2 times'],
    ['Base64 that is none', ['=?base64?Zm9?='], 'the header Mcp-Name holds characters or Base64 that it must not'],
    ['other characters', ['føø'], 'the header Mcp-Name holds characters or Base64 that it must not'],
  ])('%s: refused', (_what, values, fault) => {
    const headers = headersOf(...values.map((value): [string, string] => ['Mcp-Name', value]));

    expect(nameHeaderFault(headers, 'foo')).toBe(fault);
  });

  test('a name that looks encoded has to be encoded', () => {
    const name = base64('foo');

    expect(nameHeaderFault(headersOf(['Mcp-Name', name]), name)).toBe(
      'the header Mcp-Name says "foo", the body says "=?base64?Zm9v?="',
    );
  });

  test('what is said of long values is short', () => {
    const fault = nameHeaderFault(headersOf(['Mcp-Name', 'a'.repeat(10_000)]), '\u0001'.repeat(10_000));

    expect(fault?.length).toBeLessThan(600);
  });
});

describe('numbers', () => {
  test.each<[a: string, b: string]>([
    ['42', '42.0'],
    ['42', '4.2e1'],
    ['42', '420E-1'],
    ['-7', '-7.00'],
    ['0', '-0'],
    ['0', '0.0e99999999999999999999'],
    ['1e21', '1000000000000000000000'],
    ['3.14159', '314159e-5'],
    ['9007199254740993', '9007199254740993.0'],
    ['1e99999999999999999999', '1e99999999999999999999'],
  ])('%s is %s', (a, b) => {
    expect(isSameNumber(a, b)).toBe(true);
    expect(isSameNumber(b, a)).toBe(true);
  });

  test.each<[a: string, b: string]>([
    ['42', '43'],
    ['42', '-42'],
    ['42', '420'],
    ['42', '4.2'],
    ['9007199254740992', '9007199254740993'],
    ['1.00001e9007199254740992', '1.00001e9007199254740993'],
    ['1e400', '1e401'],
    ['42', '042'],
    ['42', '+42'],
    ['42', '0x2a'],
    ['42', '42.'],
    ['0', ''],
    ['42', ' 42'],
    ['NaN', 'NaN'],
    ['', ''],
  ])('%s is not %s', (a, b) => {
    expect(isSameNumber(a, b)).toBe(false);
    expect(isSameNumber(b, a)).toBe(false);
  });

  test('numbers that JavaScript can hold are the same when it says so', () => {
    const number = fc.tuple(fc.integer({ min: -30, max: 30 }), fc.integer({ min: -3, max: 3 }), fc.nat(3));
    const written = number.map(([digits, power, zeros]) => ({
      text: `${digits}${zeros > 0 ? `.${'0'.repeat(zeros)}` : ''}e${power}`,
      scaled: digits * 10 ** (power + 3),
    }));

    fc.assert(
      fc.property(written, written, (a, b) => {
        expect(isSameNumber(a.text, b.text)).toBe(Math.round(a.scaled) === Math.round(b.scaled));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('hostile values cost no more than their length', () => {
  const KIB_64 = 65_536;

  test.each<[what: string, value: string, text: string | null]>([
    ['sentinels', '=?base64?'.repeat(KIB_64 / 9), '=?base64?'.repeat(KIB_64 / 9)],
    ['sentinels with an end', `${'=?base64?'.repeat(KIB_64 / 9)}?=`, null],
    ['Base64', base64('a'.repeat(KIB_64)), 'a'.repeat(KIB_64)],
    ['spaces inside', `a${' '.repeat(KIB_64)}b`, `a${' '.repeat(KIB_64)}b`],
    ['spaces', ' '.repeat(KIB_64), ''],
  ])('%s', (_what, value, text) => {
    expect(decodedHeader(value)).toBe(text);
  });

  test.each<[what: string, a: string, b: string]>([
    ['digits', '1'.repeat(KIB_64), `${'1'.repeat(KIB_64)}.0`],
    ['zeros', `1${'0'.repeat(KIB_64)}`, `1e${KIB_64}`],
    ['zeros before another digit', `1${'0'.repeat(KIB_64)}1`, `1${'0'.repeat(KIB_64)}1.0`],
    ['powers', `1e${'9'.repeat(KIB_64)}`, `1e${'9'.repeat(KIB_64)}`],
  ])('%s', (_what, a, b) => {
    expect(isSameNumber(a, b)).toBe(true);
  });

  test('whatever it is, nothing is thrown', () => {
    const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    const read = (value: string): unknown[] => [decodedHeader(value), decodedHeader(`=?base64?${value}?=`)];

    fc.assert(
      fc.property(latin1, (value) => {
        expect(() => [...read(value), isSameNumber(value, value)]).not.toThrow();
      }),
    );
  });
});

function ascii(first: number, last: number): string {
  return Array.from({ length: last - first + 1 }, (_, i) => String.fromCharCode(first + i)).join('');
}
