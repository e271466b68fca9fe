// A bug of the gateway, played by a timer that cannot be set: whoever met it is told so and nothing of why, and everybody
// else is served.

import { expect, test } from 'vitest';
import { systemClock, systemTimers } from '../../src/real-time.ts';
import { gatewayBefore } from '../support/gateway.ts';

test('a bug of ours is a 500 that tells nothing of the inside, the journal has it whole, and the next request is served', async () => {
  let breaks = false;
  const time = {
    now: () => systemClock.now(),
    after(ms: number, fire: () => void) {
      if (ms !== 77_000 || !breaks) return systemTimers.after(ms, fire);
      breaks = false;
      throw new TypeError('the inside of the gateway');
    },
  };
  const { gateway } = await gatewayBefore({}, { timeouts: { request: '77s' } }, time);
  await gateway.call('count');

  breaks = true;
  const answer = await gateway.call('count');
  const next = await gateway.call('count');

  expect([answer.status, answer.json.error]).toMatchObject([500, { code: -32603, data: { reason: 'internal_error' } }]);
  expect(answer.text).not.toContain('inside');
  const [, told] = gateway.journal.of('exchange');
  expect(told).toMatchObject({ reason: 'internal_error', cause: new TypeError('the inside of the gateway') });
  expect(next.json.result).toBeDefined();
});
