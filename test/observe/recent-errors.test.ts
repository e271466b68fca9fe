import { expect, test } from 'vitest';
import { ERRORS } from '../../src/domain/errors.ts';
import type { Fact } from '../../src/domain/ports.ts';
import { RecentErrors } from '../../src/observe/recent-errors.ts';
import { linkId } from '../../src/domain/ids.ts';

const EXCHANGE = {
  fact: 'exchange',
  upstream: 'a',
  mode: 'session',
  revision: '2025-11-25',
  method: 'tools/call',
  streamed: false,
  durationMs: 1,
} as const;
const failed = (more: Partial<Extract<Fact, { fact: 'exchange' }>> = {}): Fact => ({
  ...EXCHANGE,
  outcome: 'failed',
  reason: 'request_timeout',
  why: 'the upstream did not answer in time',
  ...more,
});
const refused = (why: string, listener?: 'admin'): Fact => ({
  fact: 'refused',
  reason: 'path_unknown',
  status: 404,
  why,
  ...(listener && { listener }),
});

/** Facts, a second apart. */
function after(...facts: readonly Fact[]): RecentErrors {
  let now = 0;
  const errors = new RecentErrors(() => (now += 1000));
  for (const fact of facts) errors.record(fact);
  return errors;
}

test('of each kind the last one, and how often, the last first', () => {
  const { all } = after(
    failed({ limit: 'timeouts.request' }),
    refused('nothing is served at this path'),
    failed({ why: 'the second' }),
    failed({ upstream: 'b', upstreamStatus: 503 }),
    refused('nor there', 'admin'),
  );

  expect(all).toMatchObject([
    { reason: 'path_unknown', upstream: null, listener: 'admin', of: 'request', says: 'nor there', count: 1 },
    { reason: 'request_timeout', upstream: 'b', listener: null, upstreamStatus: 503 },
    {
      reason: 'request_timeout',
      upstream: 'a',
      says: 'the second',
      limit: null,
      count: 2,
      firstAt: 1000,
      lastAt: 3000,
    },
    { reason: 'path_unknown', upstream: null, listener: 'main', lastAt: 2000 },
  ]);
  expect(all[2]?.remedy).toBe(ERRORS.request_timeout.remedy);
});

test.each<readonly [what: string, fact: Fact, seen: object | null]>([
  [
    'a link that cannot be opened',
    { fact: 'link_failed', upstream: 'a', link: linkId(1), reason: 'upstream_tls', why: 'x', remedy: '' },
    { reason: 'upstream_tls', of: 'link' },
  ],
  [
    'a link that was lost',
    { fact: 'link_closed', upstream: 'a', link: linkId(1), reason: 'lost', why: 'cut' },
    { reason: 'upstream_session_lost', of: 'link', says: 'cut' },
  ],
  [
    'a bug of ours',
    { fact: 'fault', upstream: 'a', cause: new Error('secret') },
    { reason: 'internal_error', of: 'gateway' },
  ],
  [
    'a file that is refused',
    { fact: 'reload_failed', why: 'line 3' },
    { reason: 'configuration', says: 'line 3', of: 'gateway', upstream: null },
  ],
  ['keys that cannot be had', { fact: 'keys_unread', server: 'x', why: 'no answer' }, { reason: 'keys_unavailable' }],
  ['keys that cannot be used', { fact: 'keys_unusable', server: 'x', why: 'none' }, { reason: 'keys_unavailable' }],
  [
    'an old client’s request',
    { fact: 'passthrough', upstream: 'a', method: 'GET', durationMs: 1, reason: 'passthrough_limit', why: 'full' },
    { reason: 'passthrough_limit', of: 'request' },
  ],
  ['a link that we closed', { fact: 'link_closed', upstream: 'a', link: linkId(1), reason: 'idle' }, null],
  ['a result', { ...EXCHANGE, outcome: 'result', status: 200 }, null],
  ['an error of the server', { ...EXCHANGE, outcome: 'error', status: 200 }, null],
  ['a client that left', { ...EXCHANGE, outcome: 'client_gone' }, null],
  ['an old client’s answer', { fact: 'passthrough', upstream: 'a', method: 'GET', durationMs: 1, status: 200 }, null],
  [
    'an outage, whose links tell it',
    { fact: 'upstream_down', upstream: 'a', reason: 'upstream_tls', why: 'x', remedy: '' },
    null,
  ],
  ['what was dropped', { fact: 'dropped', upstream: 'a', what: 'late_answer' }, null],
])('%s is an error of late, or none', (_, fact, seen) => {
  expect(after(fact).all).toMatchObject(seen === null ? [] : [seen]);
});

test('what is said is cut, and shown without what a URL in it could give away', () => {
  const [long, url] = [after(refused('x'.repeat(5000))), after(refused('see http://u:p@host/a?token=t'))];

  expect(long.all[0]?.says.length).toBe(300);
  expect(url.all[0]?.says).toBe('see http://***@host/a?***');
});

test('a flood of one kind hides no other, and of many kinds those go that have not been seen for longest', () => {
  const flood = after(refused('first'), ...Array.from({ length: 10_000 }, () => failed()));
  expect(flood.all.map(({ count }) => count)).toEqual([10_000, 1]);

  const kinds = Array.from({ length: 60 }, (__, index) => failed({ upstream: `u${index}` }));
  const many = after(...kinds.slice(0, 50), failed({ upstream: 'u0' }), ...kinds.slice(50));
  const names = many.all.map(({ upstream }) => upstream);
  expect(names.length).toBe(50);
  expect(names).toContain('u0');
  expect(names).not.toContain('u10');
  expect(names).toContain('u11');
});
