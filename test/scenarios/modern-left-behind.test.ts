// What a call of a client of 2026-07-28 leaves behind, given up or answered: what its server still says of it nobody else
// hears, and the log level that it wanted is wanted no more.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, NO_ANSWER, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import {
  EVERYTHING,
  type ModernOptions,
  askedIn,
  callTool,
  leavingModern,
  openModern,
  retry,
} from '../support/modern-client.ts';
import { FORM, NAMED } from '../support/questions.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const inbound = { bearer: { keys: ['alice', 'bob'].map((name) => ({ name, sha256: sha256(name) })) } };
const as = (name: string, options: ModernOptions = {}): ModernOptions => ({
  ...options,
  headers: { authorization: `Bearer ${name}` },
});

const quiet: Answerer = (call) => call.released.then(() => text('quiet'));

/** Asks, and answers whatever becomes of its question. */
const givesUp: Answerer = (call) => {
  void call.ask(FORM.method, FORM.params);
  return call.released.then(() => text('without you'));
};

/** The level that somebody wants of the only link. */
const wantedLevel = (gateway: Gateway): unknown => gateway.app.mounts[0]?.onlyLink.wants.level;

/** The levels that this link was told, in their order. */
function levelsOf(upstream: LegacyServer, sessionId: string): unknown[] {
  return upstream.received
    .filter(({ message, url }) => message.method === 'logging/setLevel' && url.includes(sessionId))
    .map(({ message }) => message.params?.['level']);
}

// What the server still says

/** Alice gives a call up that goes on all the same; then somebody's call with a level runs. */
async function besideAnAbandoned(secret: Answerer, links: GatewayConfig['links'], other: ModernOptions) {
  const { gateway, upstream } = await gatewayBefore({ tools: { secret, quiet } }, { inbound, links });
  const leaving = await leavingModern(gateway, 'tools/call', { name: 'secret', arguments: {} }, as('alice'));
  const abandoned = await upstream.nextCall('secret');
  leaving.leave();
  await abandoned.cancelled;
  const [reply] = await Promise.all([
    openModern(gateway, 'tools/call', { name: 'quiet', arguments: {} }, other),
    upstream.nextCall('quiet').then((running) => {
      // In this order on the wire, should they share a link.
      abandoned.release();
      return abandoned.released.then(() => running.release());
    }),
  ]);
  return reply;
}

const OTHERS = [
  ['of the same caller', 'principal', 'alice'],
  ['of another who shares his links', 'shared', 'bob'],
] as const;

test.each(OTHERS)('what is logged for a call that was given up does not reach a call %s', async (_, isolation, who) => {
  const secret: Answerer = async (call) => {
    await call.released;
    call.notify('notifications/message', { level: 'error', data: 'secret of alice' });
    return NO_ANSWER;
  };

  const reply = await besideAnAbandoned(secret, { isolation }, as(who, { logLevel: 'debug' }));

  const all = await reply.until('"result"');
  expect(all).toContain('quiet');
  expect(all).not.toContain('secret of alice');
});

test.each(OTHERS)(
  'what is asked for a call that was given up neither reaches nor fails a call %s',
  async (_, isolation, who) => {
    const secret: Answerer = async (call) => {
      await call.released;
      await call.ask(FORM.method, { ...FORM.params, message: 'secret of alice' });
      return NO_ANSWER;
    };

    const reply = await besideAnAbandoned(secret, { isolation }, as(who, { logLevel: 'error' }));

    const all = await reply.until('"jsonrpc"');
    expect(all).toContain('"text":"quiet"');
    expect(all).not.toContain('secret of alice');
  },
);

// The level on the only link

test('the level of a call whose client has left is not wanted of the only link any more', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { single: true } });
  const leaving = await leavingModern(gateway, 'tools/call', { name: 'slow', arguments: {} }, { logLevel: 'debug' });
  const call = await upstream.nextCall('slow');
  expect(wantedLevel(gateway)).toBe('debug');

  leaving.leave();
  await call.cancelled;

  await expect.poll(() => wantedLevel(gateway), { timeout: 3000 }).toBe(null);
});

test('the level of a held call to which nobody has come back is not wanted of it any more', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { single: true }, timeouts: { round: '500ms' } });
  await callTool(gateway, 'ask', {}, { logLevel: 'debug', capabilities: EVERYTHING });
  expect(wantedLevel(gateway)).toBe('debug');

  await upstream.nextRequest('notifications/cancelled');

  await expect.poll(() => wantedLevel(gateway), { timeout: 3000 }).toBe(null);
});

test('the level of a retry for which there is an answer already is not wanted of it afterwards', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { givesUp } }, { links: { single: true } });
  const asked = await callTool(gateway, 'givesUp', {}, { capabilities: EVERYTHING });
  (await upstream.nextCall('givesUp')).release();
  await upstream.nextReply(0);

  const params = { name: 'givesUp', arguments: {} };
  const answer = await retry(gateway, asked, {}, [
    'tools/call',
    params,
    { capabilities: EVERYTHING, logLevel: 'debug' },
  ]);

  expect(answer.text).toContain('without you');
  await expect.poll(() => wantedLevel(gateway), { timeout: 3000 }).toBe(null);
});

// The level of a retry

test('a retry with a level for which there is an answer already leaves the link to the call that has it now', async () => {
  const { gateway, upstream } = await gatewayBefore({ tools: { givesUp } }, { links: { max: 1 } });
  const asked = await callTool(gateway, 'givesUp', {}, { capabilities: EVERYTHING });
  (await upstream.nextCall('givesUp')).release();
  await upstream.nextReply(0);
  const other = callTool(gateway, 'slow', {}, { capabilities: EVERYTHING, logLevel: 'error' });
  const running = await upstream.nextCall('slow');

  const params = { name: 'givesUp', arguments: {} };
  const answer = await retry(gateway, asked, {}, [
    'tools/call',
    params,
    { capabilities: EVERYTHING, logLevel: 'debug' },
  ]);
  const levels = levelsOf(upstream, running.stream.sessionId);
  running.release();

  expect(answer.text).toContain('without you');
  expect(levels).toEqual(['error']);
  expect((await other).text).toContain('done');
});

test('a retry whose client leaves before the server has agreed to its level takes the call along', async () => {
  let agrees = true;
  const { gateway, upstream } = await gatewayBefore({
    methods: { 'logging/setLevel': () => (agrees ? {} : NO_ANSWER) },
  });
  const asked = await callTool(gateway, 'ask', {}, { capabilities: EVERYTHING });
  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  agrees = false;
  const { requestState } = asked.json.result;
  const params = { name: 'ask', arguments: {}, requestState, inputResponses: { name: NAMED } };
  const options = { capabilities: EVERYTHING, logLevel: 'debug' };
  const leaving = await leavingModern(gateway, 'tools/call', params, options);
  await upstream.nextRequest('logging/setLevel');

  leaving.leave();
  await upstream.nextRequest('notifications/cancelled');

  expect((await upstream.nextReply(0)).message.result).toEqual({ action: 'cancel' });
  await expect.poll(() => gateway.app.mounts[0]?.inFlight, { timeout: 3000 }).toBe(0);
});
