// A POST whose headers have been read, and whose body is still on its way.

import { type GatewayClient, JSON_HEADERS, type RawClient, requestBytes } from './gateway.ts';

export async function halfSent(
  gateway: GatewayClient,
  body: string,
  more: Record<string, string> = {},
  path = '/mcp',
): Promise<RawClient & { finish(): void }> {
  const client = await gateway.connect();
  const headers = { host: 'localhost', ...JSON_HEADERS, 'content-length': String(body.length), ...more };
  const expecting = Object.entries({ ...headers, expect: '100-continue' });
  client.write(requestBytes('POST', path, expecting));
  await client.until('100 Continue');
  client.write(body.slice(0, 10));
  return { ...client, finish: () => client.write(body.slice(10)) };
}

/** Of a tool that answers at once. */
export const LATE_CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 'late',
  method: 'tools/call',
  params: { name: 'count', arguments: {} },
});
