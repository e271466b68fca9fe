// How the gateway stops: what it says of that, what it still serves, and that nobody loses anything who had a choice.

import { expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, gatewayBefore, startGateway } from '../support/gateway.ts';
import { text } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { sessionOf } from '../support/session-client.ts';
import { VirtualTime } from '../support/virtual-time.ts';

/** The upstream has been reached. */
const isUp = (gateway: Gateway) => gateway.journal.until(({ fact }) => fact === 'upstream_up');
const readyz = (gateway: Gateway) => gateway.send('GET', '/readyz');

/** Resolves after so long, as a client’s own pace. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

test('for drain.delay everything is served while /readyz says that it ends; then nobody gets in', async () => {
  const time = new VirtualTime();
  const { gateway } = await gatewayBefore({}, { drain: { delay: '5s' }, admin: { port: 0 } }, time);
  await isUp(gateway);
  const before = await readyz(gateway);

  const closing = gateway.app.close('announced');
  const during = await readyz(gateway);
  const session = await gateway.openSession();
  const answers = [await gateway.call('add', { a: 1, b: 2 }), await gateway.call('count', {}, 2)];
  const listener = await openEvents(gateway, { sessionId: session });
  const admin = await fetch(`${gateway.adminOrigin}/readyz`);
  let isOver = false;
  const over = closing.then(() => (isOver = true));
  await time.advance(4999);
  const last = await gateway.call('add', { a: 1, b: 2 });
  await time.advance(1);
  await expect.poll(() => gateway.connect().then(() => 'taken', String)).toMatch('ECONNREFUSED');
  while (!isOver) await time.advance(100);
  await over;

  expect(before.status).toBe(200);
  expect([during.status, during.json]).toEqual([503, { status: 'draining' }]);
  expect([admin.status, await admin.json()]).toEqual([503, { status: 'draining' }]);
  expect([...answers, last].map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await listener.closed).toBe('ended');
});

test('without an announcement nothing is waited for', { timeout: 5000 }, async () => {
  const { gateway } = await gatewayBefore({}, { drain: { delay: '1h' } });

  await gateway.app.close();

  await expect(gateway.connect()).rejects.toThrow('ECONNREFUSED');
});

test('a rolling stop under 200 calls a second fails none of them', { timeout: 20_000 }, async () => {
  const CALLS = 300;
  const work = () => passed(50).then(() => text('done'));
  const upstream = await startLegacyServer({ tools: { work } });
  onTestFinished(() => upstream.close());
  const config = { drain: { delay: '1s', timeout: '10s' } };
  const gateways = [await startGateway(upstream.url, config), await startGateway(upstream.url, config)];
  const [old] = gateways;
  for (const gateway of gateways) onTestFinished(() => gateway.close());
  await Promise.all(gateways.map(isUp));
  // A balancer: who is not ready gets no new call.
  const ready = new Set(gateways);
  let isWatching = true;
  const watching = gateways.map(async (gateway) => {
    while (isWatching && ready.has(gateway)) {
      if ((await readyz(gateway)).status !== 200) ready.delete(gateway);
      await passed(20);
    }
  });
  const answers: ReturnType<Gateway['call']>[] = [];
  let closing: Promise<void> | undefined;
  const since = performance.now();

  while (answers.length < CALLS) {
    const due = Math.min(CALLS, Math.floor((performance.now() - since) / 5) + 1);
    for (let id = answers.length; id < due; id++) {
      const [...targets] = ready;
      const target = targets[id % targets.length];
      if (target !== undefined) answers.push(target.call('work', {}, id));
    }
    if (answers.length >= CALLS / 3) closing ??= old?.app.close('announced');
    await passed(5);
  }
  const statuses = (await Promise.all(answers)).map(({ status, json }) => [status, json.error]);
  await closing;
  isWatching = false;
  await Promise.all(watching);

  expect(statuses).toEqual(Array(CALLS).fill([200, undefined]));
  expect([...ready]).toEqual([gateways[1]]);
});

test('a stream ends between two events, however much its client has still to read', async () => {
  const { gateway, upstream, session, link } = await sessionOf('2025-11-25', {
    limits: { streamBacklogBytes: '64MiB' },
  });
  const listener = await openEvents(gateway, { sessionId: session });
  await listener.next();
  const data = 'x'.repeat(1024 * 1024);
  for (let index = 0; index < 8; index++) {
    upstream.sendTo(link, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } });
  }
  await listener.next();

  await gateway.app.close();

  expect(await listener.closed).toBe('ended');
  expect(listener.text.endsWith('\n\n')).toBe(true);
  expect(listener.seen.at(-1)?.retry).toBeGreaterThanOrEqual(1000);
});
