// What is read of requests that can be read in two ways: shared by the short test and the long one.

import { expect } from 'vitest';
import { gatewayBefore } from '../support/gateway.ts';
import { type Payload, faultIn, fateOf } from '../support/smuggling.ts';

/** All at once, each on a connection of its own. */
export async function isReadInOneWay(payloads: readonly Payload[]): Promise<void> {
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { clientHeaders: '500ms', clientBody: '500ms' } });

  const fates = await Promise.all(
    payloads.map(async (payload, index) => ({
      name: payload.name,
      isPlain: payload.isPlain,
      ...(await fateOf(gateway.origin, upstream, payload, `n${index}`)),
    })),
  );

  const faults = fates.map((fate) => ({ ...fate, fault: faultIn(fate) })).filter(({ fault }) => fault !== null);
  expect(faults).toEqual([]);
  expect(fates.filter(({ isPlain, calls }) => isPlain !== calls.includes('outer'))).toEqual([]);
  // Whoever asked plainly may ask again on the same connection, unless he said himself that he would not.
  const left = fates.filter(
    ({ isPlain, name, calls }) => isPlain && !/close|Upgrade/.test(name) && !calls.includes('after'),
  );
  expect(left).toEqual([]);
}
