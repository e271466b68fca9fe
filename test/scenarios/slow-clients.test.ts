import { test } from 'vitest';
import { gatewayBefore } from '../support/gateway.ts';
import { slowClients } from './slow-clients.ts';

test('250 clients that say nothing, drip, or never end are let go, and others are served [T17]', async () => {
  const timeouts = { clientHeaders: '300ms', clientBody: '500ms', keepAlive: '300ms' };
  const { gateway } = await gatewayBefore({}, { timeouts });

  // Node looks after its connections once a second.
  await slowClients(gateway.endpoint, 50, 7000);
});
