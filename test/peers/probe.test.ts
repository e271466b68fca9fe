// The probe before real servers: what it takes them for, and what a second connection does to them.

import { expect, test } from 'vitest';
import { documentAt } from '../probe/probed.ts';
import { Child } from '../support/child.ts';
import {
  type LegacyPeer,
  everything,
  firstEverything,
  listening,
  mcpProxy,
  playwrightMcp,
  supergateway,
} from './support/legacy-peers.ts';
import type { ChildOptions } from '../support/watched-child.ts';

const NODE_SERVERS = ['typescript-sdk', 'supergateway'];

test.each<[name: string, start: () => ChildOptions, second: string]>([
  ['server-everything', everything, 'independent'],
  ['the first server-everything', firstEverything, 'takes_over'],
  ['supergateway', supergateway, 'broadcasts'],
  ['mcp-proxy', mcpProxy, 'independent'],
])('%s is usable, made with the TypeScript SDK, and tells what a second stream does', async (_name, start, second) => {
  const server = await listening(new Child(start()));

  const { kind, httpSse, frameworks, secondConnection } = await documentAt(urlOf(server), { secondConnection: true });

  expect(['http_sse', 'both']).toContain(kind);
  expect(httpSse?.tools?.count).toBeGreaterThan(3);
  expect(NODE_SERVERS).toContain(frameworks[0]?.id);
  expect(secondConnection).toBe(second);
});

test('a server that dies when its client leaves is said to be gone', async () => {
  const server = await listening(new Child(firstEverything()));

  const { kind, quirks } = await documentAt(urlOf(server));

  expect(kind).toBe('http_sse');
  expect(quirks.join('\n')).toMatch(/was gone when the probe had left/);
});

test('a server that lets in one name only is found by that name, which the next step says', async () => {
  const server = await listening(new Child(playwrightMcp()));

  const refused = await documentAt(`http://127.0.0.1:${server.port}/sse`);
  const [, named = ''] = /mcp-causeway probe (\S+)$/.exec(refused.next) ?? [];
  const { kind, streamableHttp } = await documentAt(named);

  expect(refused.kind).toBe('forbidden');
  expect(kind).toBe('both');
  expect(streamableHttp?.url).toBe(`http://localhost:${server.port}/mcp`);
});

function urlOf({ host, port }: LegacyPeer): string {
  return `http://${host}:${port}/sse`;
}
