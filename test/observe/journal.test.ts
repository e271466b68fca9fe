// What a fact becomes in the log, at which level, as the process writes it: JSON lines.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Fact } from '../../src/domain/ports.ts';
import { LogJournal } from '../../src/observe/journal.ts';
import { FORMATTERS } from '../../src/observe/log.ts';

function logged(level = 'info') {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  const journal = new LogJournal(pino({ level, base: null, formatters: FORMATTERS }, destination));
  return { journal, lines };
}

const EXCHANGE = {
  fact: 'exchange',
  upstream: 'billing',
  mode: 'session',
  revision: '2025-06-18',
  method: 'tools/call',
  name: 'add',
  outcome: 'result',
  streamed: false,
  status: 200,
  durationMs: 12.5,
  waitMs: 0.25,
} satisfies Fact;

const FAILED = { ...EXCHANGE, outcome: 'failed', reason: 'upstream_unavailable', status: 502 } satisfies Fact;
const DROPPED = { fact: 'dropped', upstream: 'billing', what: 'late_answer' } satisfies Fact;
const REFUSED = {
  fact: 'refused',
  reason: 'in_flight_limit',
  status: 503,
  why: 'full (limits.inFlight)',
} satisfies Fact;
const [INFO, WARN] = [30, 40];

test('an exchange is one line, whose facts are its fields', () => {
  const { journal, lines } = logged();

  journal.record(EXCHANGE);

  const { fact: _, ...fields } = EXCHANGE;
  expect(lines).toEqual([{ level: INFO, time: expect.any(Number), ...fields, msg: 'exchange' }]);
});

describe('what can come by the thousand', () => {
  test.each<readonly [what: string, fact: Fact, level: string, shown: number]>([
    ['answers, at info', EXCHANGE, 'info', 1000],
    ['answers, at warn', EXCHANGE, 'warn', 0],
    ['failures, at info', FAILED, 'info', 1000],
    ['failures, at warn', FAILED, 'warn', 1],
    ['limits met, at info', REFUSED, 'info', 1000],
    ['limits met, at warn', REFUSED, 'warn', 1],
    ['limits met, at error', REFUSED, 'error', 0],
    ['bad requests, at warn', { ...REFUSED, reason: 'parse_error', status: 400 }, 'warn', 0],
    ['bugs of ours, at error', { ...REFUSED, reason: 'internal_error', status: 500 }, 'error', 1000],
    ['drops, at debug', DROPPED, 'debug', 1000],
    ['drops, at info', DROPPED, 'info', 1],
    ['drops, at warn', DROPPED, 'warn', 0],
  ])('%s', (_, fact, level, shown) => {
    const { journal, lines } = logged(level);

    for (let i = 0; i < 1000; i++) journal.record(fact);

    expect(lines).toHaveLength(shown);
    expect([...journal.counts.values()]).toEqual([1000]);
  });

  test('each reason to fail is a kind of its own', () => {
    const { journal, lines } = logged('warn');

    journal.record(FAILED);
    journal.record({ ...FAILED, reason: 'request_timeout' });
    journal.record(FAILED);

    expect(lines).toMatchObject([
      { level: WARN, reason: 'upstream_unavailable' },
      { level: WARN, reason: 'request_timeout' },
    ]);
  });
});

test('what knows how to write itself writes nothing that was not looked at: errors and URLs have their own members only', () => {
  let line = '';
  const destination = new Writable({
    write(chunk: Buffer, _, done) {
      line += chunk.toString();
      done();
    },
  });
  const log = pino({ formatters: FORMATTERS }, destination);
  const err = Object.assign(new Error('GET https://u:S3CRET@h/x?token=S3CRET'), { code: 'ECONNRESET' });

  log.warn({ err, url: new URL('https://u:S3CRET@h/x?token=S3CRET'), map: new Map([['a', 'S3CRET']]) }, 'odd');

  expect(line).not.toContain('S3CRET');
  expect(JSON.parse(line)).toMatchObject({ err: { code: 'ECONNRESET' }, msg: 'odd' });
});
