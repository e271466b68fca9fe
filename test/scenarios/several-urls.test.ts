// One upstream at several URLs: which of them a link or an old client goes to, and what happens when one is down.

import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, type GatewayConfig, startGateway } from '../support/gateway.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { openOldClient } from '../support/old-client.ts';

const ALONE = { links: { min: 0 } } as const;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 2, b: 3 } } };

async function beforeTwo(
  config: GatewayConfig = {},
): Promise<{ gateway: Gateway; first: LegacyServer; second: LegacyServer }> {
  const [first, second] = await Promise.all([startLegacyServer(), startLegacyServer()]);
  onTestFinished(() => Promise.all([first.close(), second.close()]).then(() => undefined));
  const upstream = { ...config.upstream, url: [first.url.href, second.url.href] };
  const gateway = await startGateway(first.url, { ...config, upstream });
  onTestFinished(() => gateway.close());
  return { gateway, first, second };
}

test('links go to the URL with the fewest, and each posts to where its own stream is', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);

  const sessions = [];
  // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
  for (let n = 0; n < 4; n++) sessions.push(await gateway.openSession());
  const answers = await Promise.all(sessions.map((id) => gateway.post(CALL, { 'mcp-session-id': id })));

  for (const { json } of answers) expect(json.result.content[0].text).toBe('5');
  expect([first, second].map(({ gets }) => gets.length)).toEqual([2, 2]);
  for (const { received } of [first, second]) {
    expect(received.filter(({ message }) => message.method === 'tools/call')).toHaveLength(2);
  }
});

test('a link that is gone does not count any more', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  const sessions = [await gateway.openSession(), await gateway.openSession()];
  await gateway.send('DELETE', '/mcp', { 'mcp-session-id': String(sessions[0]) });
  await first.whenStreams(0);

  await gateway.openSession();

  expect([first, second].map(({ gets }) => gets.length)).toEqual([2, 1]);
});

test('where one is down, nobody hears of it: the other is tried at once, and preferred from then on', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  await first.stop();

  const answer = await gateway.call('add', { a: 2, b: 3 });
  const ready = await gateway.send('GET', '/readyz');
  const sessions = [await gateway.openSession(), await gateway.openSession()];

  expect([answer.status, ready.status, new Set(sessions).size]).toEqual([200, 200, 2]);
  expect(second.gets).toHaveLength(3);
  expect(gateway.journal.of('link_failed')).toHaveLength(1);
  expect(gateway.journal.of('upstream_down')).toEqual([]);
});

test('a session whose server goes down goes on at the other', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  const session = await gateway.openSession();
  await first.stop();
  await gateway.journal.until(({ fact }) => fact === 'link_closed');

  const answer = await gateway.post(CALL, { 'mcp-session-id': session });

  expect(answer.json.result.content[0].text).toBe('5');
  expect(second.gets).toHaveLength(1);
});

test('where all are down, everybody hears why, after each was tried once', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  await Promise.all([first.stop(), second.stop()]);

  const answer = await gateway.call('add');

  expect([answer.status, answer.json.error.data.reason]).toEqual([502, 'upstream_unreachable']);
  expect(gateway.journal.of('link_failed')).toHaveLength(2);
  expect(gateway.journal.of('upstream_down')).toHaveLength(1);
});

test('old clients are spread too, and each posts to where its own stream is', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  const clients = [await openOldClient(gateway.origin), await openOldClient(gateway.origin)];

  const posted = await Promise.all(clients.map((client) => client.post(CALL)));
  await Promise.all(clients.map((client) => client.until('"text":"5"')));

  expect(posted.map(({ status }) => status)).toEqual([202, 202]);
  expect([first, second].map(({ gets, received }) => [gets.length, received.length])).toEqual([
    [1, 1],
    [1, 1],
  ]);
});

test('an old client that could not be let in where one is down is let in at the other', async () => {
  const { gateway, first, second } = await beforeTwo(ALONE);
  await first.stop();

  const refused = await openOldClient(gateway.origin);
  const served = await openOldClient(gateway.origin);

  expect([refused.status, served.status]).toEqual([502, 200]);
  expect(second.gets).toHaveLength(1);
});
