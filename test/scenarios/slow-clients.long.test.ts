import { onTestFinished, test } from 'vitest';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { slowClients } from './slow-clients.ts';

const TIMEOUTS = ['--timeouts-client-headers=3s', '--timeouts-client-body=5s', '--timeouts-keep-alive=3s'];

test('5,000 clients that say nothing, drip, or never end are let go, and others are served [T17]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGatewayProcess(upstream.url, '--log-level=warn', ...TIMEOUTS);

  await slowClients(gateway.endpoint, 1000, 30_000);
});
