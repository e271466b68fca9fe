// What clients of 2026-07-28 learn of a server before they call it.
import { expect, test } from 'vitest';
import { gatewayBefore } from '../support/gateway.ts';
import { modern } from '../support/modern-client.ts';

test('server/discover is answered from a link that others had opened before anybody of 2026-07-28 came', async () => {
  const { gateway, upstream } = await gatewayBefore();
  expect((await gateway.call('add', { a: 1, b: 2 })).status).toBe(200);

  const discovered = await modern(gateway, 'server/discover');

  expect(discovered.status).toBe(200);
  expect(discovered.json.result).toMatchObject({ resultType: 'complete', capabilities: { tools: {} } });
  expect(upstream.received.filter(({ message }) => message.method === 'initialize')).toHaveLength(1);
});
