// What headers say: plain or in Base64, names and numbers against those of the body, the annotations of tools, Accept and
// Content-Type. Held against an encoder of our own, which the gateway has no use for.

import { accepted, isJson } from '../../../src/protocol/headers.ts';
import { type Message, bytesOf, readMessage } from '../../../src/protocol/json-rpc.ts';
import {
  decodedHeader,
  isSameNumber,
  methodHeaderFault,
  nameHeaderFault,
} from '../../../src/protocol/modern-headers.ts';
import { paramHeaderFault, paramHeadersOf, withoutParamHeaders } from '../../../src/protocol/param-headers.ts';
import { splice } from '../../../src/protocol/splice.ts';
import { type Target, must, same } from '../target.ts';

const LIMITS = { maxDepth: 64 };

export const HEADERS: Target = {
  words: [
    '=?base64?',
    '?=',
    '=?BASE64?',
    '=?base64?=',
    'aGk=',
    'aGl=',
    'aGk',
    '4pyT',
    '7aCA',
    ' ',
    '\t',
    '\r\n',
    '\0',
    '1e',
    '0.10',
    '-0',
    '1E+2',
    '1e99999999999999999999',
    '9007199254740993',
    'application/json',
    ';q=0',
    '*/*',
    '"x-mcp-header":"a"',
    '"\\u0078-mcp-header":"a"',
    '"type":"string"',
    '"properties":{',
    '"inputSchema":{',
    '"items":',
    ',',
    ';',
    '=',
    'charset=utf-8',
    'text/event-stream',
    '{"jsonrpc":"2.0","id":1,"result":{}}',
    '"a":',
    '"$defs":{',
  ],
  check(input) {
    const text = input.toString('utf8');
    const decoded = isDecoded(text);
    isDecoded(input.toString('latin1'));
    for (const value of [text, input.toString('latin1')]) {
      same(decodedHeader(encoded(value)), Buffer.from(value).toString(), 'what was encoded comes back otherwise');
      must(
        nameHeaderFault(given(encoded(value)), Buffer.from(value).toString()) === null,
        'an honest header is refused',
      );
      must(nameHeaderFault(given(encoded(`${value}.`)), value) !== null, 'a header that lies is taken');
      must(nameHeaderFault(given(encoded(value), encoded(value)), value) !== null, 'a header is taken twice');
      methodHeaderFault(given(value), value);
      accepted(value);
      isJson(value);
    }
    const numbers = isSameAsOthers(text);
    const schema = isStripped(Buffer.from(text));
    return `${decoded}${numbers}${schema}${accepted(text).json}${accepted(text).stream}`;
  },
};

const given =
  (...values: readonly string[]) =>
  (): readonly string[] =>
    values;

/** As a client is told to: what is no plain text without blanks around it, or looks encoded, goes in Base64. */
function encoded(text: string): string {
  const isPlain = /^(?:[!-~](?:[\t -~]*[!-~])?)?$/.test(text) && !(text.startsWith('=?base64?') && text.endsWith('?='));
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

/** Whatever a value stands for, there is one spelling of it, or it is plain. */
function isDecoded(value: string): string {
  const text = decodedHeader(value);
  if (text === null) return 'none';
  const trimmed = value.replaceAll(/^[\t ]+|[\t ]+$/g, '');
  if (text === trimmed) return 'plain';
  same(`=?base64?${Buffer.from(text).toString('base64')}?=`, trimmed, 'read from another spelling');
  return 'base64';
}

/** As fractions of whole numbers; only where those are not too long. */
function isSameAsOthers(text: string): string {
  const [one = '', other = ''] = text.split(',', 2);
  const [left, right] = [fraction(one), fraction(other)];
  const is = isSameNumber(one, other);
  if (left === 'long' || right === 'long') return 'long';
  const isExpected = left !== null && right !== null && left.over * right.under === right.over * left.under;
  same(is, isExpected, `${one} and ${other}`);
  return `${is}${left === null}`;
}

interface Fraction {
  readonly over: bigint;
  readonly under: bigint;
}

function fraction(text: string): Fraction | null | 'long' {
  const [, sign = '', whole = '', part = '', power = '0'] =
    /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (whole === '') return null;
  if (text.length > 200 || Math.abs(Number(power)) > 200) return 'long';
  const exponent = BigInt(Number(power) - part.length);
  const digits = BigInt(`${whole}${part}`) * (sign === '-' ? -1n : 1n);
  return exponent < 0n ? { over: digits, under: 10n ** -exponent } : { over: digits * 10n ** exponent, under: 1n };
}

/** No annotation is left, and all else is: also where the tool is invalid. */
function isStripped(bytes: Buffer): string {
  const inside = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":1,"result":'), bytes, Buffer.from('}')]);
  const message = readMessage(inside, LIMITS);
  if (message.kind !== 'result') return 'none';
  const tool = message.result;
  const params = paramHeadersOf(inside, tool);
  const left = Buffer.concat(splice(inside, withoutParamHeaders(inside, tool)));
  const again = readMessage(left, LIMITS);
  must(again.kind === 'result', `what was cut out left no message: ${left.toString()}`);
  same(withoutParamHeaders(left, again.result), [], 'an annotation is left');
  if (params === 'invalid') return 'invalid';
  must(params.length === 0 || left.length < inside.length, 'an annotation was not cut out');
  // A call whose arguments are the tool itself: whatever they are, the answer is a text or null.
  const fault = paramHeaderFault(params, inside, tool, given());
  must(fault === null || fault.length < 1000, 'a fault of any length');
  return `${params.length}${fault === null}${isArray(message) ? 'array' : ''}`;
}

function isArray(message: Extract<Message, { kind: 'result' }>): boolean {
  return bytesOf(message.bytes, message.result)[0] === 0x5b;
}
