// What becomes of a request whose owner is not there, not there any more, or lost while it answers. Reasons: owner_lost,
// not_owner.

import { describe, expect, test } from 'vitest';
import { openCall, openEvents } from '../support/event-client.ts';
import { type Answer, type Gateway, JSON_HEADERS, requestBytes } from '../support/gateway.ts';
import { callTool, retry } from '../support/modern-client.ts';
import { exchange, openOldClient } from '../support/old-client.ts';
import { NAMED } from '../support/questions.ts';
import { startReplicas } from '../support/replicas.ts';
import { IN } from '../support/session-client.ts';

const PING = { jsonrpc: '2.0', id: 9, method: 'ping' };
const NEVER = 'never-was-a-token';
const V11 = { protocolVersion: '2025-11-25' };
const HEADER_11 = { 'mcp-protocol-version': '2025-11-25' };
const legacy = { sse: '/sse', messages: '/messages' };

/** All of an answer but when it was sent. */
function bytesOf({ status, headers, text }: Pick<Answer, 'status' | 'headers' | 'text'>): string {
  const { date: _, ...rest } = headers;
  return JSON.stringify([status, rest, text]);
}

/** What of a session can be asked with one request, each as bytes. */
async function allOf(at: Gateway, session: string): Promise<string[]> {
  const stream = { ...IN(session), accept: 'text/event-stream' };
  const answers = [
    await at.post(PING, IN(session)),
    await at.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, IN(session)),
    await at.send('GET', '/mcp', stream),
    await at.send('GET', '/mcp', { ...stream, 'last-event-id': '1.1' }),
    await at.send('DELETE', '/mcp', IN(session)),
  ];
  return answers.map(bytesOf);
}

describe('an owner that is gone', () => {
  test('has left no sessions: 404 at once, as for one that never was', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    await first.way.close();

    const gone = await allOf(second, session);

    expect(gone).toEqual(await allOf(second, NEVER));
    expect(gone[0]).toContain('session_unknown');
    expect(second.journal.of('hop').map(({ outcome }) => outcome)).toEqual(Array(5).fill('unreachable'));
  });

  test('so has one that was restarted at its address, which says so', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    await first.restart();

    const gone = await allOf(second, session);

    expect(gone).toEqual(await allOf(second, NEVER));
    expect(second.journal.of('hop').map(({ outcome }) => outcome)).toEqual(Array(5).fill('gone'));
    expect(await first.post(PING, IN(session))).toMatchObject({ status: 404 });
    expect(first.journal.of('refused')[0]).toMatchObject({ reason: 'not_owner', listener: 'peers', status: 421 });
  });

  test('and one whose session has ended', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    await first.send('DELETE', '/mcp', IN(session));

    const gone = await allOf(second, session);

    expect(gone).toEqual(await allOf(second, NEVER));
    expect(second.journal.of('hop').map(({ outcome }) => outcome)).toEqual(Array(5).fill('unknown'));
  });

  test('what waited there for answers is a state that is not valid', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const capable = { capabilities: { elicitation: {} } };
    const asked = await callTool(first, 'ask', {}, capable);
    const again = (at: Gateway): Promise<Answer> =>
      retry(at, asked, { 'question-1': NAMED }, ['tools/call', { name: 'ask', arguments: {} }, capable]);
    await first.way.close();

    const lost = await again(second);
    const used = { ...asked, json: { result: { requestState: NEVER } } };
    const never = await retry(second, used, { x: NAMED }, ['tools/call', { name: 'ask', arguments: {} }, capable]);

    expect(bytesOf(lost)).toBe(bytesOf(never));
    expect(lost.json.error).toMatchObject({ code: -32602, data: { reason: 'request_state_invalid' } });
  });

  test('the message of an old client is one for no stream', async () => {
    const { replicas } = await startReplicas(2, {}, { upstream: { legacy } });
    const [first, second] = replicas;
    const client = await openOldClient(first.origin);
    const target = await client.endpoint();
    await first.way.close();

    const post = async (where: string): Promise<string> => {
      const { status, body } = await exchange(second.origin + where, 'POST', JSON_HEADERS, JSON.stringify(PING));
      return `${status} ${body.toString()}`;
    };

    const lost = await post(target);

    expect(lost).toBe(await post(`/messages?token=${NEVER}`));
    expect(lost).toContain('404');
  });
});

describe('an owner that is lost while it answers', () => {
  test('before there was anything: the call’s error, and its outcome is unknown', async () => {
    const { replicas, upstream } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    const calling = second.call('slow', {}, 'x-1', { ...IN(session), accept: 'application/json' });
    await upstream.nextCall('slow');

    first.way.cut();
    const answer = await calling;

    expect(answer).toMatchObject({
      status: 200,
      json: { id: 'x-1', error: { code: -32603, data: { reason: 'owner_lost', outcome: 'unknown' } } },
    });
    expect(second.journal.of('hop')).toMatchObject([{ outcome: 'lost' }]);
  });

  test('before a notification was taken: 502', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    await second.post(PING, IN(session));

    first.way.cutNext();
    const answer = await second.post({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, IN(session));

    expect(answer).toMatchObject({ status: 502, json: { error: { data: { reason: 'owner_lost' } } } });
  });

  test('before the message of an old client was taken: 502, as 200 would say that its answer will come', async () => {
    const { replicas } = await startReplicas(2, {}, { upstream: { legacy } });
    const [first, second] = replicas;
    const client = await openOldClient(first.origin);
    const target = await client.endpoint();
    const post = async () => exchange(second.origin + target, 'POST', JSON_HEADERS, JSON.stringify(PING));
    await post();

    first.way.cutNext();
    const { status, body } = await post();

    expect([status, JSON.parse(body.toString())]).toMatchObject([
      502,
      { error: { data: { reason: 'owner_lost', outcome: 'unknown' } } },
    ]);
  });

  test('a GET and a DELETE are asked for once more', async () => {
    const { replicas } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();

    await second.post(PING, IN(session));
    first.way.cutNext();
    const stream = await openEvents(second, { sessionId: session });
    await second.post(PING, IN(session));
    first.way.cutNext();
    const deleted = await second.send('DELETE', '/mcp', IN(session));

    expect([stream.status, deleted.status]).toEqual([200, 204]);
    expect(second.journal.of('hop').map(({ outcome }) => outcome)).not.toContain('lost');
  });

  test('within a stream: its client comes back to one of 2025-11-25, and another one ends with that error', async () => {
    const { replicas, upstream } = await startReplicas(2);
    const [first, second] = replicas;
    const newer = await first.openSession(V11);
    const older = await first.openSession();
    const opened = { progressToken: 'p' };
    const resumable = openCall(second, newer, 'slow', { ...opened, headers: HEADER_11 });
    (await upstream.nextCall('slow')).progress(1);
    const whole = openCall(second, older, 'slow', { ...opened, id: 'x-2' });
    (await upstream.nextCall('slow')).progress(1);
    const listening = await openEvents(second, { sessionId: older });
    const streams = [await resumable, await whole];
    for (const stream of streams) await stream.until(({ json }) => json?.method === 'notifications/progress');

    first.way.cut();

    expect(await Promise.all([...streams, listening].map(({ closed }) => closed))).toEqual([
      'broken',
      'ended',
      'broken',
    ]);
    expect(await streams[0]?.rest()).toEqual([]);
    expect((await streams[1]?.rest())?.map(({ json }) => json)).toMatchObject([
      { id: 'x-2', error: { data: { reason: 'owner_lost', outcome: 'unknown' } } },
    ]);
  });

  test('within an event: nothing is put behind the half of it', async () => {
    const { replicas } = await startReplicas(2, {
      tools: {
        large: (called) => {
          called.notify('notifications/message', { level: 'error', data: 'x'.repeat(3_000_000) });
          return { content: [] };
        },
      },
    });
    const [first, second] = replicas;
    const session = await first.openSession();
    first.way.cutAfter(100_000);

    const stream = await openCall(second, session, 'large');

    expect(await stream.closed).toBe('broken');
    expect(stream.text).not.toContain('owner_lost');
  });

  test('one that shows no life any more is lost, whatever its connection says', async () => {
    const { replicas, upstream } = await startReplicas(2, {}, { heartbeat: '20ms' });
    const [first, second] = replicas;
    const session = await first.openSession();
    const stream = await openCall(second, session, 'never', { id: 3 });
    await stream.untilHeartbeat();
    await upstream.nextCall('never');

    first.way.hold();

    expect(await stream.closed).toBe('ended');
    expect((await stream.rest()).at(-1)?.json).toMatchObject({ id: 3, error: { data: { reason: 'owner_lost' } } });
  });
});

describe('clients that take their time', () => {
  test('one that reads nothing is cut after timeouts.clientWrite, and the owner is not held up by it', async () => {
    const { replicas } = await startReplicas(
      2,
      { tools: { large: () => ({ content: [{ type: 'text', text: 'x'.repeat(8_000_000) }] }) } },
      { timeouts: { clientWrite: '200ms' }, limits: { upstreamMessageBytes: '16MiB' } },
    );
    const [first, second] = replicas;
    const session = await first.openSession();
    const stream = await openCall(second, session, 'large');
    stream.pause();

    await second.journal.until((fact) => fact.fact === 'dropped' && fact.what === 'unread_reply');
    stream.resume();

    expect(await stream.closed).toBe('broken');
    expect((await second.post(PING, IN(session))).status).toBe(200);
  });
});

describe('a replica that stops', () => {
  test('waits for what it has passed on, and ends streams between two events', async () => {
    const { replicas, upstream } = await startReplicas(2, {}, { drain: { timeout: '5s' } });
    const [first, second] = replicas;
    const session = await first.openSession(V11);
    const calling = second.call('slow', {}, 1, IN(session));
    const called = await upstream.nextCall('slow');
    const listening = await openEvents(second, { sessionId: session });

    const closing = second.app.close();
    called.release();

    expect((await calling).json.result.content[0].text).toBe('done');
    expect(await listening.closed).toBe('ended');
    await closing;
    expect((await first.call('add', { a: 1, b: 2 }, 2, IN(session))).status).toBe(200);
  });

  test('and what is not answered by then ends with an error, its outcome unknown', async () => {
    const { replicas, upstream } = await startReplicas(2);
    const [first, second] = replicas;
    const session = await first.openSession();
    const plain = second.call('slow', {}, 'a', { ...IN(session), accept: 'application/json' });
    await upstream.nextCall('slow');
    const streamed = openCall(second, session, 'slow', { id: 'b', progressToken: 'p' });
    (await upstream.nextCall('slow')).progress(1);
    const stream = await streamed;
    await stream.until(({ json }) => json?.method === 'notifications/progress');

    await second.app.close();

    const draining = { code: -32603, data: { reason: 'draining', outcome: 'unknown' } };
    expect(await plain).toMatchObject({ status: 200, json: { id: 'a', error: draining } });
    expect((await stream.rest()).map(({ json }) => json)).toMatchObject([{ id: 'b', error: draining }]);
    expect(second.journal.of('hop').map(({ outcome }) => outcome)).toEqual(['ended', 'ended']);
  });

  test('and passes on what is for others to the end', async () => {
    const { replicas, upstream } = await startReplicas(2, {}, { drain: { timeout: '5s' } });
    const [first, second] = replicas;
    const session = await first.openSession();
    const calling = second.call('slow', {}, 7, { ...IN(session), accept: 'application/json' });
    const called = await upstream.nextCall('slow');
    // Connections that are there by then are served once more each.
    const kept = await Promise.all([second.connect(), second.connect()]);
    const closing = second.app.close();
    await expect.poll(() => second.connect().then(() => 'taken', String)).toMatch('ECONNREFUSED');
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } };
    const ask = async (at: number, message: object): Promise<string> => {
      const body = JSON.stringify(message);
      const length = `${Buffer.byteLength(body)}`;
      const headers = { ...JSON_HEADERS, ...IN(session), host: 'localhost', 'content-length': length };
      kept[at]?.write(requestBytes('POST', '/mcp', Object.entries(headers), body));
      return (await kept[at]?.closed) ?? '';
    };

    const pinged = await ask(0, PING);
    const taken = await ask(1, cancel);
    await called.cancelled;

    expect(pinged).toMatch(/^HTTP\/1\.1 200 [^]*connection: close[^]*"result":\{\}/i);
    expect(taken).toContain('HTTP/1.1 202');
    expect((await calling).status).toBe(202);
    await closing;
  });
});
