// Clients that know one URL, and behind it three replicas of the gateway: nginx sends each request to another one, whose session
// it may not be.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { type Replica, type Replicas, replicasBefore, startReplicas } from '../support/replica-processes.ts';
import { ownServer, startOwnServer } from './support/legacy-peers.ts';
import { McpRemote, mcpRemotes } from './support/mcp-remote.ts';
import { scripted } from './support/modern/scripted.ts';
import { askable } from './support/modern/stories.ts';
import { brokenConnectionsOf } from './support/sessions/broken-connections.ts';
import { callbacksOf } from './support/sessions/callbacks.ts';
import { clientOver, connectedClient, modernClient, oldClient, type ModernSdk } from './support/sessions/client.ts';
import { livesOf } from './support/sessions/lives.ts';
import { replicatedPlace, textOf, withModel } from './support/sessions/places.ts';

describe('through three replicas', () => {
  callbacksOf('v1', replicatedPlace);
  brokenConnectionsOf('v1', replicatedPlace);
  livesOf('v1', replicatedPlace);
});

describe('SDK v1 over HTTP+SSE through three replicas', () => {
  const here = replicatedPlace(ownServer);

  test('posts to other replicas than the one that has its stream, and is answered and asked on it', async () => {
    const { replicas } = here();
    const client = await oldClient(`${replicas.front.origin}/sse`, withModel);
    const progress: unknown[] = [];

    const sampled = await client.call('test_sampling', { prompt: 'Who are you?' });
    await client.call('test_tool_with_progress', {}, { onprogress: (each) => progress.push(each) });
    const texts = await Promise.all([1, 2, 3, 4, 5, 6].map(() => client.call('test_simple_text')));

    expect(textOf(sampled)).toMatch(/parrot.*Who are you\?/);
    expect(progress).toHaveLength(3);
    expect(texts.map(textOf)).toEqual(texts.map(() => 'Some text.'));
    expect(client.errors).toEqual([]);
    // initialize and initialized, a call, its answer, a call and six more; at most every third is the owner’s.
    await expect.poll(() => handedOn(replicas), { timeout: 5_000 }).toBeGreaterThanOrEqual(6);
  });
});

describe.each(['v2 pinned', 'v2 auto'] satisfies ModernSdk[])('SDK %s before three replicas', (sdk) => {
  let upstream: LegacyServer;
  let replicas: Replicas;
  beforeAll(async () => {
    upstream = await startLegacyServer(scripted('2025-11-25'));
    replicas = await startReplicas({ upstream: upstream.url });
  });
  afterAll(async () => {
    await replicas?.stop();
    await upstream?.close();
  });
  beforeEach(() => onTestFailed(() => console.error(replicas.logs())));

  test.each([
    { tool: 'asksName', answers: [{ name: 'Ann' }] },
    { tool: 'asksTwice', answers: [{ name: 'Ann' }, { town: 'Ann' }] },
  ])('$tool goes through its rounds, each request on another replica', async ({ tool, answers }) => {
    const client = await modernClient(sdk, replicas.front.endpoint, askable());
    const before = await handedOn(replicas);

    const result = await client.call(tool);

    expect(result).toMatchObject({
      structuredContent: { answers: answers.map((content) => ({ action: 'accept', content })) },
    });
    const posts = client.requests.all.filter(({ message }) => message === 'tools/call');
    expect(posts.map(({ status }) => status)).toEqual([200, ...answers.map(() => 200)]);
    expect(new Set(posts.map(({ servedBy }) => servedBy)).size).toBe(posts.length);
    // The answers came to another one than the one which holds the call.
    await expect.poll(() => handedOn(replicas), { timeout: 5_000 }).toBe(before + answers.length);
    expect(client.errors).toEqual([]);
  });

  test('twelve clients whose calls ask twice, at once, get their own answers', async () => {
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, index) => modernClient(sdk, replicas.front.endpoint, askable(`user ${index}`))),
    );

    const results = await Promise.all(clients.map((client) => client.call('asksTwice')));

    for (const [index, result] of results.entries()) {
      const says = { name: `user ${index}` };
      expect(result).toMatchObject({
        structuredContent: { answers: [{ content: says }, { content: { town: says.name } }] },
      });
    }
    expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
  });
});

describe('when the replica that holds a session is killed', () => {
  test.each(['v1', 'v2 legacy'] as const)('SDK %s is told at once, initializes again, and goes on', async (sdk) => {
    const { replicas } = await ownReplicas();
    const client = await connectedClient(sdk, replicas.front.endpoint);
    expect(textOf(await client.call('test_simple_text'))).toBe('Some text.');

    await (await ownerIn(replicas)).kill();
    const since = performance.now();
    await expect(client.call('test_simple_text')).rejects.toThrow(/session/i);
    const tookMs = performance.now() - since;
    const again = await connectedClient(sdk, replicas.front.endpoint);

    expect(client.requests.all.at(-1)).toMatchObject({ httpMethod: 'POST', status: 404 });
    expect(tookMs).toBeLessThan(1_000);
    expect(textOf(await again.call('test_simple_text'))).toBe('Some text.');
  });

  test.each(mcpRemotes)('%s opens another one by itself', async (peer) => {
    const { replicas } = await ownReplicas();
    const client = await clientOver(new McpRemote(peer, replicas.front.endpoint).transport);
    const before = await client.call('test_simple_text');

    await (await ownerIn(replicas)).kill();
    const after = await client.call('test_simple_text');

    expect([before, after].map(textOf)).toEqual(['Some text.', 'Some text.']);
    expect(client.errors).toEqual([]);
  });
});

async function ownReplicas(): Promise<{ readonly replicas: Replicas }> {
  const { host, port } = await startOwnServer();
  return { replicas: await replicasBefore({ upstream: new URL(`http://${host}:${port}/sse`) }) };
}

/** The one that has served the only call so far: it holds the session. */
async function ownerIn({ all }: Replicas): Promise<Replica> {
  const calls = await Promise.all(
    all.map(async (replica) => (await replica.scrape()).sum('causeway_exchanges_total', { method: 'tools/call' })),
  );
  expect(calls.filter((count) => count > 0)).toEqual([1]);
  return all[calls.indexOf(1)] ?? expect.fail();
}

function handedOn(replicas: Replicas): Promise<number> {
  return replicas.sum('causeway_hops_total', { outcome: 'served' });
}
