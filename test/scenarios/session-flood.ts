// Many initialize at once, of one caller and of many: shared by the short test and the long one.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import { inTurn } from '../support/gateway-process.ts';

const CALLERS = 20;
const OF_ONE = 5;
const IN_ALL = 40;
const keys = Array.from({ length: CALLERS }, (_, i) => {
  return { name: `caller-${i}`, sha256: createHash('sha256').update(`key-${i}`).digest('hex') };
});
const as = (caller: number): Record<string, string> => ({ authorization: `Bearer key-${caller}` });
const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18' } };
const INBOUND = { bearer: { keys } };

/** How many were answered in each way: the status, and which limit a refusal names. */
async function flood(gateway: Gateway, count: number, caller: (number: number) => number): Promise<object> {
  const outcomes: Record<string, number> = {};
  await inTurn(count, 200, async (number) => {
    const { status, headers, json } = await gateway.post(INITIALIZE, as(caller(number)));
    const limit = /\(([\w.]+)\)$/.exec(json.error?.message ?? '')?.[1];
    const outcome =
      limit === undefined ? `${status}` : `${status} ${limit}, retry after ${String(headers['retry-after'])}`;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  });
  return outcomes;
}

export function describeFlood(count: number): void {
  describe(`${count} initialize`, () => {
    test('of one caller take its budget and no more, and another is served meanwhile [T20]', async () => {
      const config = { inbound: INBOUND, budgets: { sessions: OF_ONE }, links: { min: 0 } };
      const { gateway, upstream } = await gatewayBefore({}, config);

      const [outcomes, other] = await Promise.all([
        flood(gateway, count, () => 0),
        inTurn(10, 1, () => gateway.call('add', { a: 1, b: 2 }, 1, as(1))),
      ]);

      expect(outcomes).toEqual({ 200: OF_ONE, '503 budgets.sessions, retry after 1': count - OF_ONE });
      expect(other.map(({ json }) => json.result.content[0].text)).toEqual(Array(10).fill('3'));
      expect(upstream.gets).toHaveLength(OF_ONE + 1);
    });

    test('of many callers take what there is for all, and no link beyond [T20]', async () => {
      const config = {
        inbound: INBOUND,
        budgets: { sessions: OF_ONE },
        limits: { sessions: IN_ALL },
        links: { min: 0 },
      };
      const { gateway, upstream } = await gatewayBefore({}, config);

      const outcomes = await flood(gateway, count, (number) => number % CALLERS);

      expect(outcomes).toEqual({
        200: IN_ALL,
        [`503 limits.sessions, retry after 1`]: count - IN_ALL,
      });
      expect(upstream.gets).toHaveLength(IN_ALL);
      expect(gateway.app.registry.size).toBe(IN_ALL);
    });

    test('that the server is slow to answer open no more links than sessions may have [T20]', async () => {
      const gate = Promise.withResolvers<void>();
      const config = { inbound: INBOUND, links: { min: 0, maxDedicated: IN_ALL } };
      const { gateway, upstream } = await gatewayBefore({ get: { until: gate.promise } }, config);

      const flooding = flood(gateway, count, (number) => number % CALLERS);
      await expect.poll(() => gateway.app.mounts[0]?.dedicatedCount).toBe(IN_ALL);
      gate.resolve();
      const outcomes = await flooding;

      expect(outcomes).toEqual({
        200: IN_ALL,
        [`503 links.maxDedicated, retry after 1`]: count - IN_ALL,
      });
      expect(upstream.gets).toHaveLength(IN_ALL);
      expect(gateway.app.registry.size).toBe(IN_ALL);
    });
  });
}
