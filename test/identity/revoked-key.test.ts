// A key that a reload takes away while a request of its holder is on its way.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type GatewayConfig, gatewayBefore, replyIn } from '../support/gateway.ts';
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
