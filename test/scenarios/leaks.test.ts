// What clients leave behind: sessions without DELETE, sockets that are half open, rounds and listens that nobody comes
// back for. When its time is over nothing of it is left, and the pool is back at links.min.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { inTurn } from '../support/gateway-process.ts';
import { type Gateway, JSON_HEADERS, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { EVERYTHING, askedIn, callTool, leavingModern } from '../support/modern-client.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const MINUTE = 60_000;
const SWEEP = 30_000;
const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

/** All that is counted, but for links and their state. */
function counts(gateway: Gateway): Record<string, number> {
  const { upstreams, replies, bufferedBytes } = gateway.app.gauges();
  const [of] = upstreams;
  if (of === undefined) throw new Error('no upstream');
  const {
    state: _state,
    lastError: _last,
    links,
    isReady: _ready,
    isSingle: _single,
    isUnverified: _tls,
    upstream: _name,
    server: _server,
    revision: _revision,
    nextTryMs: _wait,
    failedOpenings: _attempts,
    ...held
  } = of;
  const { pooled, dedicated } = links;
  return {
    ...held,
    replies,
    bufferedBytes,
    pooled: pooled.open + pooled.opening + pooled.closing,
    dedicated: dedicated.open + dedicated.opening + dedicated.closing,
  };
}

const NOTHING = {
  sessions: 0,
  streams: 0,
  passthroughStreams: 0,
  calls: 0,
  heldCalls: 0,
  listens: 0,
  waitingCallers: 0,
  openBreakers: 0,
  replies: 0,
  bufferedBytes: 0,
  pooled: 1,
  dedicated: 0,
};

async function isNothingLeft(gateway: Gateway): Promise<void> {
  await expect.poll(() => counts(gateway), { timeout: 5000 }).toEqual(NOTHING);
}

test('500 sessions in turn, of which a fifth is abandoned, leave nothing [G21]', { timeout: 60_000 }, async () => {
  const time = new VirtualTime();
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { sessionIdle: '1m' } }, time);
  await upstream.whenStreams(1);
  let most = 0;

  await inTurn(500, 8, async (number) => {
    const session = await gateway.openSession();
    await gateway.call('add', { a: 1, b: 2 }, 1, IN(session));
    most = Math.max(most, upstream.streams.length);
    if (number % 5 !== 0) await gateway.send('DELETE', '/mcp', IN(session));
    // Of those that are abandoned some listened, and are gone with their socket.
    else if (number % 50 === 0) (await openEvents(gateway, { sessionId: session })).cut();
  });
  const abandoned = counts(gateway)['sessions'];
  await expect.poll(() => counts(gateway)['streams'], { timeout: 5000 }).toBe(0);
  await time.advance(MINUTE + SWEEP);

  await isNothingLeft(gateway);
  await upstream.whenStreams(1);
  expect(abandoned).toBe(100);
  expect(most).toBeGreaterThan(75);
  const ends = gateway.journal.of('session_ended').map(({ why }) => why);
  expect(ends.filter((why) => why === 'deleted')).toHaveLength(400);
  expect(ends.filter((why) => why === 'expired')).toHaveLength(100);
  // What is left is of the pool and its warm link: no timer of a session.
  expect(time.pendingCount).toBeLessThan(5);
});

test('rounds that nobody comes back for, and listens whose sockets break, leave nothing [F50 F66]', async () => {
  const config = { timeouts: { round: '2s' }, links: { idleTimeout: '100ms' } } as const;
  const { gateway, upstream } = await gatewayBefore({}, config);
  const options = { capabilities: EVERYTHING };

  const asked = await inTurn(16, 4, () => callTool(gateway, 'ask', {}, options));
  const listens = await inTurn(20, 4, async () => {
    const client = await leavingModern(gateway, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
    await client.until('acknowledged');
    return client;
  });
  const before = counts(gateway);
  for (const client of listens) client.leave();
  await expect.poll(() => counts(gateway)['listens'], { timeout: 5000 }).toBe(0);
  await expect.poll(() => counts(gateway)['heldCalls'], { timeout: 5000 }).toBe(0);

  expect(asked.every((answer) => Object.keys(askedIn(answer)).length === 1)).toBe(true);
  expect(before).toMatchObject({ heldCalls: 16, listens: 20 });
  expect(gateway.journal.dropped('abandoned_round')).toBe(16);
  await isNothingLeft(gateway);
  await upstream.whenStreams(1);
});

test('sockets that are half open, at whatever point, leave nothing', async () => {
  const { gateway, upstream } = await gatewayBefore(
    {},
    {
      timeouts: { clientHeaders: '200ms', clientBody: '300ms', keepAlive: '200ms', request: '1s', requestMax: '1s' },
      links: { idleTimeout: '100ms' },
    },
  );
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never","arguments":{}}}';
  const headers = Object.entries({ ...JSON_HEADERS, host: 'localhost', 'content-length': String(body.length) });
  const whole = requestBytes('POST', '/mcp', headers, body);

  // Nothing at all, half a head, half a body, and a call whose client says nothing any more.
  const parts = [0, 20, whole.length - 10, whole.length];
  const clients = await inTurn(40, 8, async (number) => {
    const client = await gateway.connect();
    client.write(whole.slice(0, parts[number % parts.length]));
    return client;
  });
  for (let i = 0; i < 10; i++) await upstream.nextCall('never');
  const running = counts(gateway)['replies'];
  // None of them closes its end: it is the gateway that does.
  const ends = await Promise.all(clients.map(({ closed }) => closed));

  expect(running).toBe(10);
  expect(ends.filter((text) => text.startsWith('HTTP/1.1 408'))).toHaveLength(30);
  expect(ends.filter((text) => text.includes('request_timeout'))).toHaveLength(10);
  await isNothingLeft(gateway);
});
