// How long a session lives, what keeps it, how many there may be, and what its end does to all that is open. How it is
// opened is in sessions.test.ts.

import { describe, expect, onTestFinished, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, gatewayBefore, startGateway } from '../support/gateway.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const JSON_ONLY = { accept: 'application/json' };
const MINUTE = 60_000;
/** How often it is looked which sessions have expired. */
const SWEEP = 30_000;

function initialize(gateway: Gateway, params: object = {}): Promise<Answer> {
  const usual = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  return gateway.post({ jsonrpc: '2.0', id: 'open', method: 'initialize', params: { ...usual, ...params } });
}

const call = (id: unknown, name: string, meta?: object): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: {}, ...(meta && { _meta: meta }) },
});
const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };

describe('an id', () => {
  test('is visible ASCII, long, and never the same [B3]', async () => {
    const { gateway } = await gatewayBefore();

    const sessions = await Promise.all(Array.from({ length: 40 }, () => gateway.openSession()));

    expect(new Set(sessions).size).toBe(40);
    for (const session of sessions) expect(session).toMatch(/^[\x21-\x7e]{22,1024}$/);
  });

  test('is given with the answer to initialize and never again [B3]', async () => {
    const { gateway } = await gatewayBefore();
    const opened = await initialize(gateway);
    const session = String(opened.headers['mcp-session-id']);

    const answers = [await gateway.post(PING, IN(session)), await gateway.post(PING)];

    expect(answers.map(({ headers }) => headers['mcp-session-id'])).toEqual([undefined, undefined]);
  });

  test('is given to a client that takes nothing but a stream, too [B3]', async () => {
    const { gateway } = await gatewayBefore();
    const stream = await openEvents(gateway, {
      body: { jsonrpc: '2.0', id: 'open', method: 'initialize', params: { protocolVersion: '2025-06-18' } },
      headers: { accept: 'text/event-stream' },
    });

    expect((await stream.next()).json).toMatchObject({ id: 'open', result: { protocolVersion: '2025-06-18' } });
    expect((await gateway.post(PING, IN(String(stream.headers['mcp-session-id'])))).status).toBe(200);
  });

  test('is given once in a request: twice is refused with 400, though both are the same', async () => {
    const { gateway } = await gatewayBefore();
    const session = await gateway.openSession();
    const headers = { 'mcp-session-id': [session, session] };

    const posted = await openEvents(gateway, { body: PING, headers });
    const got = await openEvents(gateway, { headers });

    expect([posted.status, got.status]).toEqual([400, 400]);
    expect(await posted.body()).toContain('twice');
  });

  test('means nothing once its session is deleted, whatever it is used for [B15]', async () => {
    const { gateway } = await gatewayBefore();
    const session = await gateway.openSession({ protocolVersion: '2025-03-26' });
    await gateway.send('DELETE', '/mcp', IN(session));

    const answers = [
      await gateway.post(PING, IN(session)),
      await gateway.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(session)),
      await gateway.post({ jsonrpc: '2.0', id: 'causeway-1', result: {} }, IN(session)),
      await gateway.post([PING], IN(session)),
      await gateway.send('GET', '/mcp', { ...IN(session), accept: 'text/event-stream' }),
      await gateway.send('GET', '/mcp', { ...IN(session), accept: 'text/event-stream', 'last-event-id': '1.0' }),
      await gateway.send('DELETE', '/mcp', IN(session)),
    ];

    expect(answers.map(({ status, json }) => [status, json.error.data.reason])).toEqual(
      Array(7).fill([404, 'session_unknown']),
    );
  });
});

describe('timeouts.sessionIdle', () => {
  test('a session that nobody uses expires: its id is unknown, and its link is closed [B15 G21]', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, {}, time);
    const session = await gateway.openSession();
    await upstream.whenStreams(2);

    await time.advance(30 * MINUTE - 1);
    const before = gateway.app.registry.size;
    await time.advance(SWEEP);
    const [left] = await upstream.whenStreams(1);
    const after = await gateway.call('count', {}, 1, IN(session));

    expect(before).toBe(1);
    expect(gateway.app.registry.size).toBe(0);
    expect(gateway.app.mounts[0]?.dedicatedCount).toBe(0);
    expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'expired' }]);
    expect([after.status, after.json.error.data.reason]).toEqual([404, 'session_unknown']);
    expect(left).toBeDefined();
    expect((await initialize(gateway)).status).toBe(200);
  });

  test('it is configured, and each session counts for itself', async () => {
    const time = new VirtualTime();
    const { gateway } = await gatewayBefore({}, { timeouts: { sessionIdle: '5m' } }, time);
    const early = await gateway.openSession();
    await time.advance(4 * MINUTE);
    const late = await gateway.openSession();

    await time.advance(MINUTE + SWEEP);

    expect((await gateway.post(PING, IN(early))).status).toBe(404);
    expect((await gateway.post(PING, IN(late))).status).toBe(200);
  });

  test('it can be an upstream’s own, like the age of its sessions', async () => {
    const time = new VirtualTime();
    const config = {
      timeouts: { sessionIdle: '5m', sessionMax: '10m' },
      upstream: { timeouts: { sessionIdle: '20m', sessionMax: '30m' } },
    };
    const { gateway } = await gatewayBefore({}, config, time);
    const [used, unused] = [await gateway.openSession(), await gateway.openSession()];

    await time.advance(15 * MINUTE);
    const statuses = [(await gateway.post(PING, IN(used))).status];
    await time.advance(10 * MINUTE);
    for (const session of [used, unused]) statuses.push((await gateway.post(PING, IN(session))).status);
    await time.advance(5 * MINUTE + SWEEP);
    statuses.push((await gateway.post(PING, IN(used))).status);

    expect(statuses).toEqual([200, 200, 404, 404]);
  });

  test.each([
    ['a request', PING, 200],
    ['a call', call(1, 'count'), 200],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/x' }, 202],
    ['a response', { jsonrpc: '2.0', id: 'unknown', result: {} }, 202],
    ['a batch', [PING], 200],
  ])('%s is use: it counts anew from there', async (_what, body, status) => {
    const time = new VirtualTime();
    const { gateway } = await gatewayBefore({}, {}, time);
    const session = await gateway.openSession({ protocolVersion: '2025-03-26' });

    await time.advance(29 * MINUTE);
    const used = await gateway.post(body, IN(session));
    await time.advance(29 * MINUTE);
    const live = gateway.app.registry.size;
    await time.advance(MINUTE + SWEEP);

    expect([used.status, live, gateway.app.registry.size]).toEqual([status, 1, 0]);
  });

  test('a session with a call in flight is not idle, and counts from the end of the call', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, { timeouts: { request: '2h', requestMax: '2h' } }, time);
    const session = await gateway.openSession();
    const answer = gateway.post(call(1, 'slow'), { ...IN(session), ...JSON_ONLY });
    const slow = await upstream.nextCall('slow');

    await time.advance(60 * MINUTE);
    slow.release();
    const { json } = await answer;
    await time.advance(29 * MINUTE);
    const live = gateway.app.registry.size;
    await time.advance(MINUTE + SWEEP);

    expect(json.result.content[0].text).toBe('done');
    expect([live, gateway.app.registry.size]).toEqual([1, 0]);
  });

  test('an open GET keeps its session, and it counts from when that is closed', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, {}, time);
    const sessionId = await gateway.openSession();
    const stream = await openEvents(gateway, { sessionId });

    await time.advance(3 * 60 * MINUTE);
    await stream.leave();
    await time.advance(29 * MINUTE);
    const live = gateway.app.registry.size;
    await time.advance(MINUTE + SWEEP);

    expect([live, gateway.app.registry.size]).toEqual([1, 0]);
    await upstream.whenStreams(1);
  });

  test('a session that lost its link expires like any other', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, {}, time);
    const session = await gateway.openSession();
    upstream.cutStreams();
    await gateway.journal.until(() => gateway.journal.of('link_closed').length === 2);

    await time.advance(30 * MINUTE + SWEEP);

    expect(gateway.app.registry.size).toBe(0);
    expect((await gateway.post(PING, IN(session))).status).toBe(404);
  });
});

describe('timeouts.sessionMax', () => {
  const SHORT = { timeouts: { sessionMax: '1h', request: '2h', requestMax: '2h' } } as const;

  test('a session ends at that age, however much it is used [B15 G21]', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, SHORT, time);
    const session = await gateway.openSession();
    await upstream.whenStreams(2);

    const statuses: number[] = [];
    for (let n = 0; n < 6; n++) {
      await time.advance(10 * MINUTE - 1);
      statuses.push((await gateway.post(PING, IN(session))).status);
    }
    await time.advance(SWEEP);

    expect(statuses).toEqual(Array(6).fill(200));
    expect((await gateway.post(PING, IN(session))).status).toBe(404);
    expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'expired' }]);
    await upstream.whenStreams(1);
  });

  test('its end answers what is open with an error, once, and the upstream is told before the link closes [G21 G12]', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, SHORT, time);
    const sessionId = await gateway.openSession();
    const asJson = gateway.post(call('json', 'never'), { ...IN(sessionId), ...JSON_ONLY });
    const { message } = await upstream.nextCall('never');
    const opened = openEvents(gateway, { sessionId, body: call('stream', 'slow', { progressToken: 1 }) });
    (await upstream.nextCall('slow')).progress(1);
    const asStream = await opened;
    await asStream.next();
    const listening = await openEvents(gateway, { sessionId });

    await time.advance(60 * MINUTE + SWEEP);

    const error = { code: -32603, data: { reason: 'session_ended', outcome: 'unknown' } };
    expect([(await asJson).status, (await asJson).json]).toMatchObject([200, { id: 'json', error }]);
    expect((await asStream.rest()).map(({ json }) => json)).toMatchObject([{ id: 'stream', error }]);
    expect([await asStream.closed, await listening.closed]).toEqual(['ended', 'ended']);
    expect(listening.seen).toEqual([]);
    await upstream.whenStreams(1);
    const told = upstream.received.filter(({ message: { method } }) => method === 'notifications/cancelled');
    expect(told.map(({ message: { params } }) => params?.['requestId'])).toContain(message.id);
    expect(told).toHaveLength(2);
    expect([gateway.app.inFlight(), gateway.app.mounts[0]?.inFlight]).toEqual([0, 0]);
  });

  test('its end answers an open question of the upstream, so that no tool hangs [G10]', async () => {
    const time = new VirtualTime();
    const { gateway, upstream } = await gatewayBefore({}, SHORT, time);
    const sessionId = await gateway.openSession({ capabilities: { elicitation: {} } });
    const stream = await openEvents(gateway, { sessionId, body: call(1, 'ask') });
    const question = await stream.next();

    await time.advance(60 * MINUTE + SWEEP);

    expect(question.json).toMatchObject({ method: 'elicitation/create' });
    expect((await stream.rest()).map(({ json }) => json)).toMatchObject([{ id: 1, error: { code: -32603 } }]);
    await upstream.whenStreams(1);
    const replies = upstream.received.filter(({ message }) => message.result !== undefined);
    expect(replies.map(({ message }) => message.result)).toEqual([{ action: 'cancel' }]);
  });

  test('an open GET does not keep it beyond', async () => {
    const time = new VirtualTime();
    const { gateway } = await gatewayBefore({}, SHORT, time);
    const sessionId = await gateway.openSession();
    const stream = await openEvents(gateway, { sessionId });

    await time.advance(60 * MINUTE + SWEEP);

    expect(await stream.closed).toBe('ended');
    expect(gateway.app.registry.size).toBe(0);
  });
});

describe('DELETE', () => {
  test('ends the session’s streams, and the upstream’s question is answered [G21 G10 B15]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const sessionId = await gateway.openSession({ capabilities: { elicitation: {} } });
    const listening = await openEvents(gateway, { sessionId });
    const asking = openEvents(gateway, { sessionId, body: call(1, 'ask', { progressToken: 1 }) });
    (await upstream.nextCall('ask')).progress(1);
    const stream = await asking;
    await stream.next();

    const deleted = await gateway.send('DELETE', '/mcp', IN(sessionId));

    expect([deleted.status, deleted.text]).toEqual([204, '']);
    const last = (await stream.rest()).at(-1)?.json;
    expect(last).toMatchObject({ id: 1, error: { code: -32603, data: { reason: 'session_ended' } } });
    expect(await listening.closed).toBe('ended');
    await upstream.whenStreams(1);
    const replies = upstream.received.filter(({ message }) => message.result !== undefined);
    expect(replies.map(({ message }) => message.result)).toEqual([{ action: 'cancel' }]);
  });

  test(
    'answers a call that waits for the session’s link at once: it did not run, and never will',
    { timeout: 5000 },
    async () => {
      const opens = Promise.withResolvers<void>();
      const { gateway, upstream } = await gatewayBefore();
      const session = await gateway.openSession();
      upstream.behaviour.get = { until: opens.promise };
      upstream.cutStreams();
      await gateway.journal.until(() => gateway.journal.of('link_closed').length === 2);
      const answer = gateway.call('count', {}, 'mine', IN(session));
      // The warm link and the session's are both being opened anew.
      await expect.poll(() => upstream.gets.length, { timeout: 3000 }).toBe(4);

      await gateway.send('DELETE', '/mcp', IN(session));
      const { status, json } = await answer;
      upstream.behaviour.get = 'streams';
      opens.resolve();
      await gateway.call('add');

      expect(status).toBe(404);
      expect(json).toMatchObject({ id: 'mine', error: { data: { reason: 'session_ended', outcome: 'not_executed' } } });
      expect(upstream.received.map(({ raw }) => raw.toString()).join()).not.toContain('"count"');
    },
  );

  test(
    'ends a call that stands in line for the only link: nothing runs for a session that is gone',
    { timeout: 5000 },
    async () => {
      const { gateway, upstream } = await gatewayBefore({}, { links: { single: true } });
      const session = await gateway.openSession({ capabilities: { sampling: {} } });
      const running = gateway.call('slow', {}, 1, IN(session));
      await upstream.nextCall('slow');
      // One call that may ask back runs at a time, so this one waits for the first.
      const waiting = gateway.call('count', {}, 2, IN(session));
      await expect.poll(() => gateway.app.inFlight(), { timeout: 3000 }).toBe(2);

      await gateway.send('DELETE', '/mcp', IN(session));
      const answers = [await running, await waiting];
      await gateway.call('add');

      expect(answers.map(({ json }) => json)).toMatchObject([
        { id: 1, error: { data: { reason: 'session_ended', outcome: 'unknown' } } },
        { id: 2, error: { data: { reason: 'session_ended', outcome: 'not_executed' } } },
      ]);
      expect(upstream.received.map(({ raw }) => raw.toString()).join()).not.toContain('"count"');
    },
  );

  test('of one session leaves another alone', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const [gone, sessionId] = [await gateway.openSession(), await gateway.openSession()];
    const stream = await openEvents(gateway, { sessionId });
    const answer = gateway.call('slow', {}, 1, IN(sessionId));
    const slow = await upstream.nextCall('slow');

    await gateway.send('DELETE', '/mcp', IN(gone));
    slow.notify('notifications/tools/list_changed');
    slow.release();

    expect((await answer).json.result.content[0].text).toBe('done');
    expect((await stream.next()).json).toMatchObject({ method: 'notifications/tools/list_changed' });
  });
});

describe('the number of sessions', () => {
  test('limits.sessions: one that expires makes room', async () => {
    const time = new VirtualTime();
    const { gateway } = await gatewayBefore({}, { limits: { sessions: 1 } }, time);
    await gateway.openSession();

    const refused = await initialize(gateway);
    await time.advance(30 * MINUTE + SWEEP);
    const opened = await initialize(gateway);

    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(refused.json.error.message).toContain('limits.sessions');
    expect(opened.status).toBe(200);
  });

  test('links.maxDedicated: one more is refused with 503, leaves nothing behind, and may come once another is gone [T20]', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { links: { maxDedicated: 2 } });
    const [first] = [await gateway.openSession(), await gateway.openSession()];
    await upstream.whenStreams(3);

    const refused = await initialize(gateway);
    const without = await gateway.call('count');
    const size = gateway.app.registry.size;
    await gateway.send('DELETE', '/mcp', IN(first));
    await upstream.whenStreams(2);
    const opened = await initialize(gateway);

    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    expect(refused.json).toMatchObject({
      id: 'open',
      error: {
        code: -32603,
        message: expect.stringContaining('links.maxDedicated'),
        data: { reason: 'sessions_limit', outcome: 'not_executed' },
      },
    });
    expect(refused.headers).not.toHaveProperty('mcp-session-id');
    expect([without.status, size, opened.status]).toEqual([200, 2, 200]);
  });

  test('limits.inFlight does not keep a client from answering or cancelling: that is what makes room', async () => {
    const { gateway, upstream } = await gatewayBefore({}, { limits: { inFlight: 2 } });
    const sessionId = await gateway.openSession({ capabilities: { sampling: {} } });
    const questions = [{ method: 'sampling/createMessage' }];
    const params = { name: 'ask', arguments: { questions } };
    const asking = await openEvents(gateway, { sessionId, body: { ...call(1, 'ask'), params } });
    const question = await asking.next();
    const running = gateway.call('slow', {}, 2, IN(sessionId));
    await upstream.nextCall('slow');

    const full = await gateway.call('count', {}, 3, IN(sessionId));
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 2 } };
    const cancelled = await gateway.post(cancel, IN(sessionId));
    const answered = await gateway.post({ jsonrpc: '2.0', id: question.json.id, result: { x: 1 } }, IN(sessionId));

    expect(full.json).toMatchObject({ error: { data: { reason: 'in_flight_limit' } } });
    expect([full.status, cancelled.status, answered.status]).toEqual([503, 202, 202]);
    expect((await running).status).toBe(202);
    expect((await asking.next()).json).toMatchObject({ id: 1, result: {} });
  });

  test('one whose upstream cannot be reached is none: 502, and nothing is left', async () => {
    const gateway = await startGateway('http://127.0.0.1:1/sse');
    onTestFinished(() => gateway.close());

    const refused = await initialize(gateway);

    expect([refused.status, refused.json.id, refused.headers['mcp-session-id']]).toEqual([502, 'open', undefined]);
    expect([gateway.app.registry.size, gateway.app.mounts[0]?.dedicatedCount]).toEqual([0, 0]);
  });
});

describe('what an initialize may bring along', () => {
  const ofSize = (bytes: number): object => ({ x: 'x'.repeat(bytes - '{"x":""}'.length) });

  test.each([
    ['capabilities', 64 * 1024],
    ['clientInfo', 8 * 1024],
  ])('%s of more than %i bytes: 400 −32600, and no session', async (name, limit) => {
    const { gateway, upstream } = await gatewayBefore();
    await upstream.nextRequest('notifications/initialized');

    const refused = await initialize(gateway, { [name]: ofSize(limit + 1) });
    const size = gateway.app.registry.size;
    const opened = await initialize(gateway, { [name]: ofSize(limit) });

    expect([refused.status, refused.headers['mcp-session-id'], size]).toEqual([400, undefined, 0]);
    expect(refused.json).toMatchObject({
      id: 'open',
      error: { code: -32600, message: expect.stringContaining(`params.${name}`), data: { reason: 'invalid_request' } },
    });
    expect(opened.status).toBe(200);
    const initializes = upstream.received.filter(({ message }) => message.method === 'initialize');
    expect(initializes).toHaveLength(2);
    expect(initializes[1]?.message.params?.[name]).toEqual(ofSize(limit));
  });
});

test('the end of the gateway ends every session: what is open is answered, and the upstream is told [G21]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const sessionId = await gateway.openSession();
  const listening = await openEvents(gateway, { sessionId });
  const opened = openEvents(gateway, { sessionId, body: call(1, 'slow', { progressToken: 1 }) });
  (await upstream.nextCall('slow')).progress(1);
  const stream = await opened;
  await stream.next();

  await gateway.app.close();

  expect((await stream.rest()).map(({ json }) => json)).toMatchObject([
    { id: 1, error: { data: { reason: 'draining' } } },
  ]);
  expect(await listening.closed).toBe('ended');
  expect((await upstream.nextRequest('notifications/cancelled')).message.params).toHaveProperty('requestId');
  await upstream.whenStreams(0);
  expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'shutdown' }]);
});
