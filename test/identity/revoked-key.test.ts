// A key that a reload takes away while a request of its holder is on its way.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, type GatewayConfig, gatewayBefore, replyIn } from '../support/gateway.ts';
import { LATE_CALL, halfSent } from '../support/half-sent.ts';
import { modernMessage } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { ASKABLE } from '../support/session-client.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');

describe('who is let in when the body has come is served, whoever was at the headers', () => {
  const keys = (...names: string[]): GatewayConfig => {
    return { inbound: { bearer: { keys: names.map((name) => ({ name, sha256: sha256(`${name}-key`) })) } } };
  };
  const mallory = { authorization: 'Bearer mallory-key' };
  const initialize = JSON.stringify({ jsonrpc: '2.0', id: 'late', method: 'initialize', params: ASKABLE });
  const { body: listen, headers } = modernMessage('subscriptions/listen', {
    notifications: { toolsListChanged: true },
  });

  test.each<readonly [what: string, body: string, headers: Record<string, string>]>([
    ['a call', LATE_CALL, {}],
    ['an initialize', initialize, {}],
    ['a listen', listen, headers],
  ])('%s of a caller whose key is gone by then is 401, and opens and runs nothing [T33]', async (_, body, more) => {
    const { gateway, upstream } = await gatewayBefore({}, keys('alice', 'mallory'));
    const late = await halfSent(gateway, body, { ...mallory, ...more, connection: 'close' });

    await gateway.reload(keys('alice'));
    late.finish();

    expect(replyIn(await late.closed)).toMatchObject({
      status: 401,
      json: { error: { data: { reason: 'unauthorized' } } },
    });
    expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
    expect(gateway.app.gauges().upstreams).toMatchObject([{ sessions: 0, listens: 0 }]);
  });

  test('a call of one whose key stays is served, under a list that is new', async () => {
    const { gateway } = await gatewayBefore({}, keys('mallory'));
    const late = await halfSent(gateway, LATE_CALL, mallory);

    await gateway.reload(keys('alice', 'mallory'));
    late.finish();

    expect(await late.until('"late"')).toContain('HTTP/1.1 200 OK');
  });

  test('where nobody needed a key, one is needed now; also of an old client [T33]', async () => {
    const { gateway, upstream } = await gatewayBefore();
    const old = await openOldClient(gateway.origin);
    const ways = [
      await halfSent(gateway, LATE_CALL, { connection: 'close' }),
      await halfSent(gateway, LATE_CALL, { connection: 'close' }, await old.endpoint()),
    ];

    await gateway.reload(keys('alice'));
    for (const late of ways) late.finish();

    const replies = await Promise.all(ways.map((late) => late.closed));
    expect(replies.map((reply) => replyIn(reply).status)).toEqual([401, 401]);
    expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
  });
});

describe('a key that goes when its caller has another by now', () => {
  const keys = (...texts: string[]): GatewayConfig => {
    return { inbound: { bearer: { keys: texts.map((text) => ({ name: 'alice', sha256: sha256(text) })) } } };
  };
  const older = { authorization: 'Bearer older' };
  const newer = { authorization: 'Bearer newer' };
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

  test('a session that was used with the new one goes on; a stream that was opened with the old one ends [T33]', async () => {
    const { gateway } = await gatewayBefore({}, keys('older'));
    const [first, second] = [await sessionOf(gateway, older), await sessionOf(gateway, older)];
    const listener = await openEvents(gateway, { sessionId: first, headers: older });
    const { id: lastEventId = '' } = await listener.next();

    await gateway.reload(keys('older', 'newer'));
    await gateway.post(ping, { ...newer, 'mcp-session-id': first });
    await openEvents(gateway, { sessionId: second, headers: newer });
    await gateway.reload(keys('newer'));

    expect(await listener.closed).toBe('ended');
    expect(gateway.journal.of('session_ended')).toEqual([]);
    expect((await gateway.post(ping, { ...newer, 'mcp-session-id': first })).status).toBe(200);
    expect((await gateway.post(ping, { ...older, 'mcp-session-id': first })).status).toBe(401);
    // The rest of the stream, for whoever is let in; and what was opened with the new key is open still.
    expect((await openEvents(gateway, { sessionId: first, lastEventId, headers: newer })).status).toBe(200);
    expect((await openEvents(gateway, { sessionId: second, headers: newer })).status).toBe(409);
  });

  test('a stream of a revision that knows no retry ends without one', async () => {
    const { gateway } = await gatewayBefore({}, keys('older', 'newer'));
    const sessionId = await sessionOf(gateway, older, '2025-06-18');
    const listener = await openEvents(gateway, { sessionId, headers: older });
    await gateway.post(ping, { ...newer, 'mcp-session-id': sessionId });

    await gateway.reload(keys('newer'));

    expect([await listener.closed, listener.seen]).toEqual(['ended', []]);
    expect((await openEvents(gateway, { sessionId, headers: newer })).status).toBe(200);
  });

  test('a session that was used with the old one last ends, whatever it was opened with [T33]', async () => {
    const { gateway } = await gatewayBefore({}, keys('older', 'newer'));
    const sessionId = await sessionOf(gateway, newer);
    await gateway.post(ping, { ...older, 'mcp-session-id': sessionId });

    await gateway.reload(keys('newer'));

    expect(gateway.journal.of('session_ended')).toMatchObject([{ why: 'reloaded' }]);
    expect((await gateway.post(ping, { ...newer, 'mcp-session-id': sessionId })).status).toBe(404);
  });

  async function sessionOf(gateway: Gateway, headers = newer, protocolVersion = '2025-11-25'): Promise<string> {
    const params = { ...ASKABLE, protocolVersion };
    const opened = await gateway.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params }, headers);
    return String(opened.headers['mcp-session-id']);
  }
});
