// What reads a header takes time in proportion to its length, whatever stands in it: compared with itself, not with a clock.

import { expect, test } from 'vitest';
import { preflightHeaders } from '../../src/edge/cross-origin.ts';
import { checkFraming } from '../../src/edge/framing-guard.ts';
import { checkHost, hostRules } from '../../src/edge/host-guard.ts';
import { checkOrigin, originRules } from '../../src/edge/origin-guard.ts';
import { bearerReader } from '../../src/identity/bearer.ts';
import { accepted, isJson } from '../../src/protocol/headers.ts';
import { decodedHeader, isSameNumber, methodHeaderFault, nameHeaderFault } from '../../src/protocol/modern-headers.ts';
import { readEventId } from '../../src/protocol/sse-frames.ts';

const hosts = hostRules('127.0.0.1', undefined);
const pages = originRules('127.0.0.1', undefined);
const bearer = bearerReader([{ name: 'alice', sha256: 'a'.repeat(64) }]);

const READERS: Readonly<Record<string, (value: string) => unknown>> = {
  Accept: accepted,
  'Content-Type': isJson,
  Origin: (value) => checkOrigin(value, pages),
  Host: (value) => checkHost(['Host', value], '/mcp', hosts),
  'a target': (value) => checkHost(['Host', 'localhost'], `http://${value}`, hosts),
  'Transfer-Encoding': (value) => checkFraming({ headers: { 'transfer-encoding': value }, httpVersion: '1.1' }),
  Authorization: bearer,
  'Last-Event-ID': readEventId,
  'Access-Control-Request-Headers': (value) =>
    preflightHeaders({ 'access-control-request-headers': value }, 'GET, POST'),
  'Mcp-Method': (value) => methodHeaderFault(() => [value], 'tools/call'),
  'Mcp-Name': (value) => nameHeaderFault(() => [value], 'add'),
  'Mcp-Param': decodedHeader,
  'Mcp-Param of a number': (value) => isSameNumber(value, `${value}1`),
};

/** Of this length, or a little more. */
const TEXTS: readonly ((length: number) => string)[] = [
  ...' \t,;=:/"[]@.0aA+*-_%'.split('').map((each) => (length: number) => each.repeat(length)),
  ...[', ', '; ', 'q=0', ';q=0 ', 'a/b,', '*/*;q=0.0,', 'a.', '[:', '1.', '0e', 'mcp-param-a,', '\t '].map(
    (each) => (length: number) => each.repeat(length / each.length),
  ),
  (length) => `Bearer ${' '.repeat(length)}!`,
  (length) => `Bearer ${'a'.repeat(length)}!`,
  (length) => `Bearer a${'='.repeat(length)}!`,
  (length) => `=?base64?${'A'.repeat(length)}?=`,
  (length) => `=?base64?${'A'.repeat(length)}`,
  (length) => `=?base64?${'w'.repeat(length - (length % 4))}?=`,
  (length) => '=?base64?'.repeat(length / 9),
  (length) => `http://${'a.'.repeat(length / 2)}`,
  (length) => `http://localhost:${'1'.repeat(length)}`,
  (length) => `localhost:${'1'.repeat(length)}x`,
  (length) => `application/json;${' charset=utf-8;'.repeat(length / 15)}`,
  (length) => `application/json${' '.repeat(length)};q=0${' '.repeat(length)}x`,
  (length) => `mcp-param-${'a'.repeat(length)} `,
  (length) => `${'0'.repeat(length)}.${'0'.repeat(length)}1`,
];

/** Eight times as long is as long as Node lets headers be. */
const SHORT = 2000;
const TIMES_LONGER = 8;
/** Where reading grows with the square of the length it is 64 times as long. */
const MAX_TIMES_SLOWER = 24;
/** Too short a time to be compared: a quadratic reader needs far more for the longer text. */
const NOTHING_MS = 10;

function fastestMs(read: (value: string) => unknown, value: string): number {
  const runs = Array.from({ length: 3 }, () => {
    const startedAt = performance.now();
    read(value);
    return performance.now() - startedAt;
  });
  return Math.min(...runs);
}

test.each(Object.entries(READERS))('%s [T22]', (_, read) => {
  const slow = TEXTS.filter((text) => {
    const long = fastestMs(read, text(SHORT * TIMES_LONGER));
    return long > NOTHING_MS && long > MAX_TIMES_SLOWER * fastestMs(read, text(SHORT));
  });

  expect(slow.map((text) => text(20))).toEqual([]);
});

test('64 KB of a sentinel [T22]', () => {
  const of = (length: number): string => `=?base64?${'A'.repeat(length)}?=`;

  expect(fastestMs(decodedHeader, of(64 * 1024))).toBeLessThan(
    Math.max(NOTHING_MS, MAX_TIMES_SLOWER * fastestMs(decodedHeader, of(8 * 1024))),
  );
});

test('a reader that is quadratic would be found', () => {
  const quadratic = (value: string): boolean => /[ \t]+$/.test(value);
  const text = (length: number): string => `${' '.repeat(length)}x`;

  const [short, long] = [fastestMs(quadratic, text(SHORT)), fastestMs(quadratic, text(SHORT * TIMES_LONGER))];

  expect(long).toBeGreaterThan(NOTHING_MS);
  expect(long / short).toBeGreaterThan(MAX_TIMES_SLOWER);
});
