// Replicas of one gateway: whichever of them a client reaches, what it asks is done where its session is.

import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openCall, openEvents } from '../support/event-client.ts';
import { type Answer, JSON_HEADERS, requestBytes } from '../support/gateway.ts';
import { type LegacyCall, NO_ANSWER } from '../support/legacy-behaviour.ts';
import { askedIn, callTool, leavingModern, modern, retry } from '../support/modern-client.ts';
import { exchange, openOldClient } from '../support/old-client.ts';
import { FORM, NAMED } from '../support/questions.ts';
import { SECRET, startReplicas } from '../support/replicas.ts';
import { IN, finalOn, told } from '../support/session-client.ts';

const V11 = { protocolVersion: '2025-11-25' };
const HEADER_11 = { 'mcp-protocol-version': '2025-11-25' };
const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const keys = ['alice', 'bob'].map((name) => ({ name, sha256: sha256(`${name}-key`) }));
const ALICE = { authorization: 'Bearer alice-key' };
const BOB = { authorization: 'Bearer bob-key' };
const PING = { jsonrpc: '2.0', id: 9, method: 'ping' };
const NEVER = 'never-was-a-token';

/** All of an answer but when it was sent. */
function bytesOf({ status, headers, text }: Pick<Answer, 'status' | 'headers' | 'text'>): string {
  const { date: _, ...rest } = headers;
  return JSON.stringify([status, rest, text]);
}

describe('sessions', () => {
  test('one that a replica has opened is served by the others, to its end', async () => {
    const { replicas } = await startReplicas(3);
    const [first, second] = replicas;
    const session = await first.openSession(V11);

    const answer = await second.call('echo', { text: 'hello' }, 7, IN(session));
    const stream = await openEvents(second, { sessionId: session });
    const deleted = await second.send('DELETE', '/mcp', IN(session));
    const after = await second.call('echo', { text: 'hello' }, 8, IN(session));

    expect(answer).toMatchObject({ status: 200, json: { id: 7, result: {} } });
    expect(stream.status).toBe(200);
    expect(deleted.status).toBe(204);
    expect(await stream.closed).toBe('ended');
    expect(after).toMatchObject({ status: 404, json: { error: { data: { reason: 'session_unknown' } } } });
    expect(first.app.registry.size).toBe(0);
  });

  test('a question goes out over one replica and its answer comes in over another', async () => {
    const { replicas } = await startReplicas(3);
    const [first, second, third] = replicas;
    const session = await first.openSession({ ...V11, capabilities: { elicitation: { form: {} } } });

    const asking = await openCall(second, session, 'ask');
    const question = await told(asking);
    const taken = await (third ?? first).post({ jsonrpc: '2.0', id: question.json.id, result: NAMED }, IN(session));

    expect(question.json.method).toBe('elicitation/create');
    expect(taken.status).toBe(202);
    expect(await finalOn(asking)).toMatchObject({
      id: 1,
      result: { structuredContent: { replies: [{ result: NAMED }] } },
    });
  });

  test('a cancel over one replica ends the call that came over another', async () => {
    const { replicas, upstream } = await startReplicas(3);
    const [first, second, third] = replicas;
    const session = await first.openSession(V11);
    const slow = second.call('slow', {}, 4, { ...IN(session), accept: 'application/json' });
    const called = await upstream.nextCall('slow');

    await (third ?? first).post(
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 4 } },
      IN(session),
    );
    await called.cancelled;

    expect((await slow).status).toBe(202);
  });

  test('a stream that broke at one replica goes on at another', async () => {
    const { replicas, upstream } = await startReplicas(3);
    const [first, second, third] = replicas;
    const session = await first.openSession(V11);
    const begun = await openCall(second, session, 'slow', { progressToken: 'p', headers: HEADER_11 });
    const called = await upstream.nextCall('slow');
    called.progress(1);
    const event = (await begun.until(({ json }) => json?.method === 'notifications/progress')).at(-1);
    begun.cut();
    called.progress(2);

    const rest = await openEvents(third ?? first, { sessionId: session, lastEventId: event?.id ?? '' });
    called.release();

    expect((await rest.rest()).map(({ json }) => json?.params?.progress ?? json?.result?.content[0].text)).toEqual([
      2,
      'done',
    ]);
  });

  test('what needs no session is served where it comes in', async () => {
    const { replicas } = await startReplicas(2);
    const [, second] = replicas;

    const alone = await second.call('add', { a: 1, b: 2 });
    const newer = await callTool(second, 'add', { a: 1, b: 2 });
    const session = await second.openSession(V11);
    const own = await second.call('add', { a: 1, b: 2 }, 1, IN(session));

    expect([alone.status, newer.status, own.status]).toEqual([200, 200, 200]);
    expect(second.journal.of('hop')).toEqual([]);
  });

  test('the log of the owner has the client’s own address, and the other replica’s whose it went to', async () => {
    const { replicas } = await startReplicas(2, {}, { trustedProxies: ['127.0.0.1'] });
    const [first, second] = replicas;
    const session = await first.openSession(V11);

    await second.call('add', { a: 1, b: 2 }, 1, { ...IN(session), 'x-forwarded-for': '192.0.2.7' });

    expect(first.journal.of('exchange').at(-1)).toMatchObject({ method: 'tools/call', client: '192.0.2.7' });
    expect(second.journal.of('hop').at(-1)).toMatchObject({ peer: first.self, client: '192.0.2.7', outcome: 'served' });
    expect(second.journal.of('exchange')).toEqual([]);
  });
});

describe('clients of 2026-07-28', () => {
  const CAPABLE = { capabilities: { elicitation: {} } };

  test('each round of a call may come to another replica', async () => {
    const { replicas } = await startReplicas(3);
    const [first, second, third] = replicas;
    const ask = ['tools/call', { name: 'ask', arguments: {} }, CAPABLE] as const;

    const asked = await modern(first, ...ask);
    const [key = ''] = Object.keys(askedIn(asked));
    const answered = await retry(second, asked, { [key]: NAMED }, ask);
    const used = await retry(third ?? first, asked, { [key]: NAMED }, ask);

    expect(answered).toMatchObject({ status: 200, json: { id: 'again', result: { resultType: 'complete' } } });
    expect(used.json.error).toMatchObject({ code: -32602, data: { reason: 'request_state_invalid' } });
    expect(second.journal.of('hop')).toMatchObject([{ outcome: 'served' }]);
  });

  test('a client that leaves its retry is a client that leaves, for the owner and its server too', async () => {
    const tools = {
      asksAndWaits: async (called: LegacyCall): Promise<unknown> => {
        await called.ask(FORM.method, FORM.params);
        called.notify('notifications/message', { level: 'error', data: 'answered' });
        await called.cancelled;
        return NO_ANSWER;
      },
    };
    const { replicas, upstream } = await startReplicas(2, { tools });
    const [first, second] = replicas;
    const params = { name: 'asksAndWaits', arguments: {} };
    const asking = modern(first, 'tools/call', params, CAPABLE);
    const called = await upstream.nextCall('asksAndWaits');
    const asked = await asking;
    const [key = ''] = Object.keys(askedIn(asked));
    const back = { ...params, requestState: asked.json.result.requestState, inputResponses: { [key]: NAMED } };

    const client = await leavingModern(second, 'tools/call', back, { ...CAPABLE, logLevel: 'error' });
    await client.until('answered');
    client.leave();
    await called.cancelled;
    await second.journal.until(({ fact }) => fact === 'hop');

    expect(first.journal.of('exchange').at(-1)).toMatchObject({ method: 'tools/call', outcome: 'client_gone' });
    expect(second.journal.of('hop')).toMatchObject([{ outcome: 'client_gone' }]);
  });

  test('so is one that leaves before anything was said to it', async () => {
    const { replicas, upstream } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession(V11);
    const client = await second.connect();
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'slow', arguments: {} },
    });
    const headers = { ...JSON_HEADERS, accept: 'application/json', host: 'localhost', ...IN(session) };
    client.write(
      requestBytes('POST', '/mcp', [...Object.entries(headers), ['content-length', `${body.length}`]], body),
    );
    await upstream.nextCall('slow');

    client.leave();
    await second.journal.until(({ fact }) => fact === 'hop');
    const ended = await first.journal.until((fact) => fact.fact === 'exchange' && fact.method === 'tools/call');

    expect(ended).toMatchObject({ outcome: 'client_gone' });
    expect(second.journal.of('hop')).toMatchObject([{ outcome: 'client_gone' }]);
  });
});

describe('old clients', () => {
  const legacy = { sse: '/sse', messages: '/messages' };

  test('a message to another replica goes where the stream is', async () => {
    const { replicas } = await startReplicas(2, {}, { upstream: { legacy } });
    const [first, second] = replicas;
    const client = await openOldClient(first.origin);
    const target = await client.endpoint();
    const initialize = JSON.stringify({
      jsonrpc: '2.0',
      id: 5,
      method: 'initialize',
      params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'old', version: '1' } },
    });
    const type = { 'content-type': 'application/json' };

    const taken = await exchange(second.origin + target, 'POST', type, initialize);
    await client.until('"id":5');
    client.leave();
    await first.journal.until(({ fact }) => fact === 'passthrough');

    expect(taken).toMatchObject({ status: 202 });
    expect(second.journal.of('hop')).toMatchObject([{ method: 'POST', outcome: 'served' }]);
  });

  test('one of another caller is unknown everywhere, by the same bytes', async () => {
    const { replicas } = await startReplicas(2, {}, { upstream: { legacy }, inbound: { bearer: { keys } } });
    const [first, second] = replicas;
    const client = await openOldClient(first.origin, { headers: ALICE });
    const target = await client.endpoint();
    const post = async (where: string): Promise<string> => {
      const { headers, ...rest } = await exchange(
        second.origin + where,
        'POST',
        { ...BOB, 'content-type': 'application/json' },
        '{}',
      );
      return JSON.stringify({ ...rest, headers: { ...headers, date: undefined }, body: rest.body.toString() });
    };

    expect(await post(target)).toBe(await post(`/messages?token=${NEVER}`));
    expect(second.journal.of('hop')).toEqual([]);
  });
});

describe('callers', () => {
  test('whoever a replica lets in is the same caller at the owner; to others the session is unknown [T7]', async () => {
    const { replicas } = await startReplicas(2, {}, { inbound: { bearer: { keys } } });
    const [first, second] = replicas;
    const session = await first.openSession(V11, ALICE);

    const own = await second.post(PING, { ...ALICE, ...IN(session) });
    const foreign = await second.post(PING, { ...BOB, ...IN(session) });
    const never = await second.post(PING, { ...BOB, ...IN(NEVER) });
    const stranger = await second.post(PING, IN(session));

    expect(own.status).toBe(200);
    expect(bytesOf(foreign)).toBe(bytesOf(never));
    expect(foreign.status).toBe(404);
    expect(stranger.status).toBe(401);
    expect(second.journal.of('hop')).toHaveLength(1);
    expect(first.journal.of('refused')).toEqual([]);
  });

  test('a credential for the upstream goes with the hop, and who has another is another caller', async () => {
    const { replicas, upstream } = await startReplicas(2, {}, { upstream: { outbound: { forward: ['x-api-key'] } } });
    const [first, second] = replicas;
    const own = { 'x-api-key': 'a' };
    const session = await first.openSession(V11, own);

    const answer = await second.call('add', { a: 1, b: 2 }, 1, { ...own, ...IN(session) });
    const other = await second.call('add', { a: 1, b: 2 }, 1, { 'x-api-key': 'b', ...IN(session) });

    expect(answer.status).toBe(200);
    expect(upstream.received.at(-1)?.headers['x-api-key']).toBe('a');
    expect(other.status).toBe(404);
    expect(second.journal.of('hop')).toHaveLength(1);
  });

  test('where secrets.current is renewed by a reload, callers are the same as where the process was started with it', async () => {
    const [old, renewed] = [SECRET.toString('base64'), randomBytes(32).toString('base64')];
    const upstream = { outbound: { forward: ['x-api-key'] } };
    const after = { current: renewed, previous: old };
    const { replicas } = await startReplicas(
      2,
      {},
      { upstream },
      { each: (at) => ({ secrets: at === 0 ? { current: old, previous: renewed } : after }) },
    );
    const [first, second] = replicas;
    const own = { 'x-api-key': 'a' };
    const addresses = replicas.map(({ self }) => self);
    const peers = { host: '127.0.0.1', port: Number(new URL(first.peerOrigin).port), self: first.self, addresses };
    await first.reload({ secrets: after, upstream, links: { min: 0 }, peers });
    const session = await second.openSession(V11, own);

    const answer = await first.call('add', { a: 1, b: 2 }, 1, { ...own, ...IN(session) });

    expect(answer.json.result?.content[0].text).toBe('3');
  });

  test('calls are counted where they come in, once', async () => {
    const { replicas } = await startReplicas(2, {}, { inbound: { bearer: { keys } }, budgets: { callsPerMinute: 2 } });
    const [first, second] = replicas;
    const session = await first.openSession(V11, ALICE);
    const asked = async (at: typeof first): Promise<Answer> => at.post(PING, { ...ALICE, ...IN(session) });

    const statuses = [await asked(second), await asked(second), await asked(second), await asked(first)];

    // The first one has counted the initialize as well.
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 503, 200]);
    expect(statuses[2]?.json).toMatchObject({ id: 9, error: { data: { reason: 'budget_spent' } } });
  });

  test('notifications cost nothing on the way either', async () => {
    const { replicas } = await startReplicas(2, {}, { inbound: { bearer: { keys } }, budgets: { callsPerMinute: 1 } });
    const [first, second] = replicas;
    const session = await first.openSession(V11, ALICE);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };

    const answers = [1, 2, 3].map(() => second.post(cancel, { ...ALICE, ...IN(session) }));

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([202, 202, 202]);
  });
});
