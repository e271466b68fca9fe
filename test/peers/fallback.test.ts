// What clients do when their opening request fails: give up, speak another era, or look for another transport. Asserted as
// observed, so that an update of a client that changes it is noticed; docs/fallback.md draws the conclusion.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startFailingEndpoint, type Failure } from './support/failing-endpoint.ts';
import { McpRemote, type McpRemotePeer } from './support/mcp-remote.ts';
import { peerVersion } from './support/packages.ts';
import { sdkV1, sdkV2, type Negotiation, type SdkClient, type SdkTransport } from './support/sdk-clients.ts';

/** What follows the failed opening. Nothing else was seen: no client repeats it. */
type Reaction = 'gives up' | 'tries `initialize`' | 'tries HTTP+SSE';

const reactionRequests: Readonly<Record<Reaction, readonly string[]>> = {
  'gives up': [],
  'tries `initialize`': ['POST initialize'],
  'tries HTTP+SSE': ['GET text/event-stream'],
};

const columns: Readonly<Record<string, readonly Failure[]>> = {
  '400': bothBodies(400),
  '404': bothBodies(404),
  '405': bothBodies(405),
  '429': bothBodies(429),
  '502': bothBodies(502),
  '503': bothBodies(503),
  '502 with “404” in its text': bothBodies(502, 'the server behind answered 404'),
  '200 with a JSON-RPC error': [{ status: 200, body: 'JSON-RPC error' }],
};

interface ClientRow {
  readonly name: string;
  readonly peer: string;
  readonly open: (url: string) => Promise<void>;
  readonly opening: readonly string[];
  readonly reactions: readonly Reaction[];
}

const probe = 'GET application/json, text/event-stream';

const clients: readonly ClientRow[] = [
  {
    name: 'SDK v1',
    peer: '@modelcontextprotocol/sdk',
    open: async (url) => connectionFails(await sdkV1(url)),
    opening: ['POST initialize'],
    reactions: always('gives up'),
  },
  {
    name: 'SDK v2, `legacy`',
    peer: '@modelcontextprotocol/client',
    open: negotiating('legacy'),
    opening: ['POST initialize'],
    reactions: always('gives up'),
  },
  {
    name: 'SDK v2, `auto`',
    peer: '@modelcontextprotocol/client',
    open: negotiating('auto'),
    opening: ['POST server/discover'],
    reactions: [
      'tries `initialize`',
      'tries `initialize`',
      'tries `initialize`',
      'tries `initialize`',
      'gives up',
      'gives up',
      'gives up',
      'tries `initialize`',
    ],
  },
  {
    name: 'SDK v2, pinned',
    peer: '@modelcontextprotocol/client',
    open: negotiating({ pin: '2026-07-28' }),
    opening: ['POST server/discover'],
    reactions: always('gives up'),
  },
  {
    name: 'mcp-remote, 0.1 line',
    peer: 'mcp-remote',
    open: (url) => programFails('mcp-remote', url),
    opening: [probe, 'POST initialize'],
    reactions: readingTheText(),
  },
  {
    name: 'mcp-remote, newest',
    peer: 'mcp-remote-latest',
    open: (url) => programFails('mcp-remote-latest', url),
    opening: [probe, probe, 'POST initialize'],
    reactions: readingTheText(),
  },
];

describe.each(clients)('$name', ({ open, opening, reactions }) => {
  const cases = Object.entries(columns).flatMap(([column, failures], index) =>
    failures.map((failure) => ({ column, failure, body: failure.body, reaction: reactions[index] ?? 'gives up' })),
  );

  test.each(cases)('$reaction after $column, as $body', async ({ failure, reaction }) => {
    const endpoint = await startFailingEndpoint(failure);

    await open(endpoint.url);

    expect(endpoint.seen).toEqual([...opening, ...reactionRequests[reaction]]);
  });
});

test.each<Failure>([
  { status: 400, body: 'JSON-RPC error' },
  { status: 429, body: 'text' },
  { status: 200, body: 'JSON-RPC error' },
])('one opening answered by $status, as $body, and SDK v2 treats a modern endpoint as legacy', async (failure) => {
  const endpoint = await startFailingEndpoint(failure, 1);
  const { client, transport } = await sdkV2(endpoint.url, 'auto');

  await client.connect(transport);
  await client.listTools();

  expect(client.getProtocolEra()).toBe('legacy');
  expect(endpoint.seen).toEqual(expect.arrayContaining(['POST server/discover', 'POST initialize', 'POST tools/list']));
});

test.each([502, 503])(
  'one opening answered by %i, and SDK v2 finds the modern endpoint when it connects again',
  async (status) => {
    const endpoint = await startFailingEndpoint({ status, body: 'JSON-RPC error' }, 1);
    const first = await sdkV2(endpoint.url, 'auto');
    const second = await sdkV2(endpoint.url, 'auto');

    await connectionFails(first);
    await second.client.connect(second.transport);

    expect(second.client.getProtocolEra()).toBe('modern');
  },
);

test('docs/fallback.md shows what was observed, and with which versions', () => {
  const page = readFileSync(new URL('../../docs/fallback.md', import.meta.url), 'utf8');
  const rows = clients.map(({ name, peer, reactions }) => [`${name} (${peerVersion(peer)})`, ...reactions]);

  const shown = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(cells);

  expect(shown[0]?.slice(1)).toEqual(Object.keys(columns));
  expect(shown.slice(2)).toEqual(rows);
});

function bothBodies(status: number, says?: string): readonly Failure[] {
  const text = says === undefined ? {} : { says };
  return [
    { status, body: 'text', ...text },
    { status, body: 'JSON-RPC error', ...text },
  ];
}

function always(reaction: Reaction): readonly Reaction[] {
  return Object.keys(columns).map(() => reaction);
}

// mcp-remote decides by the status 404 or 405, and also by whether the text of the error contains one of these numbers.
function readingTheText(): readonly Reaction[] {
  return Object.keys(columns).map((column) => (/404|405/.test(column) ? 'tries HTTP+SSE' : 'gives up'));
}

function negotiating(mode: Negotiation): ClientRow['open'] {
  return async (url) => connectionFails(await sdkV2(url, mode));
}

async function connectionFails({ client, transport }: { client: SdkClient; transport: SdkTransport }): Promise<void> {
  await expect(client.connect(transport)).rejects.toThrow();
  await client.close();
}

async function programFails(peer: McpRemotePeer, url: string): Promise<void> {
  const { child } = new McpRemote(peer, url);

  await expect(child.exited).resolves.toEqual({ code: 1, signal: null });
}

function cells(line: string): readonly string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
