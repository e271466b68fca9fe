// Clients of the old transport, real ones, through the gateway: beside those of the new one, and as the fallback that the
// SDK documents: Streamable HTTP first and, if that is refused with a 4xx, HTTP+SSE at the same URL; or the other way round.
import { expect, test } from 'vitest';
import { startCountingRelay } from './support/counting-relay.ts';
import { startGateway } from './support/gateway.ts';
import { startEverything, startOwnServer } from './support/legacy-peers.ts';
import { McpRemote, mcpRemotes } from './support/mcp-remote.ts';
import { echo, echoed, initialize, initialized } from './support/raw-mcp.ts';
import { type SdkClient, sdkV1, sdkV1Sse } from './support/sdk-clients.ts';

type Opener = typeof sdkV1;

const sseOf = (url: string): string => url.replace(/\/mcp$/, '/sse');

async function saysHello(client: SdkClient, message: string): Promise<void> {
  expect(await client.callTool({ name: 'echo', arguments: { message } })).toMatchObject({
    content: [{ type: 'text', text: `Echo: ${message}` }],
  });
}

/** The first that connects, and which of them it was. */
async function firstThatConnects(
  url: string,
  openers: readonly Opener[],
): Promise<{ client: SdkClient; tried: number }> {
  const failures: unknown[] = [];
  for (const open of openers) {
    // oxlint-disable no-await-in-loop -- one after the other is the point
    const { client, transport } = await open(url);
    try {
      await client.connect(transport);
      return { client, tried: failures.length + 1 };
    } catch (error) {
      failures.push(error);
    }
    // oxlint-enable no-await-in-loop
  }
  throw new AggregateError(failures, `nothing connects to ${url}`);
}

test('an SSEClientTransport and a Streamable HTTP client use the same gateway and upstream at once', async () => {
  const relay = await startCountingRelay((await startEverything()).port);
  const { url } = await startGateway(relay.port);
  const [old, young] = [await sdkV1Sse(sseOf(url)), await sdkV1(url)];

  await Promise.all([old.client.connect(old.transport), young.client.connect(young.transport)]);
  const lists = await Promise.all([old.client.listTools(), young.client.listTools()]);
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      await saysHello(old.client, `old ${i}`);
      await saysHello(young.client, `young ${i}`);
    }),
  );
  const during = relay.openStreams;
  await old.client.close();

  for (const { tools } of lists) expect(tools.map(({ name }) => name)).toContain('echo');
  await relay.streams((open) => open < during, 'the stream of the old client is closed');
  await saysHello(young.client, 'still here');
});

test('progress reaches an old client while its tool runs', async () => {
  const { url } = await startGateway((await startEverything()).port);
  const { client, transport } = await sdkV1Sse(sseOf(url));
  const progress: unknown[] = [];
  await client.connect(transport);

  await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.5, steps: 3 } }, undefined, {
    onprogress: (each) => progress.push(each),
  });

  // The last one comes together with the answer, and then the SDK drops it.
  expect(progress.slice(0, 2)).toMatchObject([{ progress: 1 }, { progress: 2 }]);
});

test.each<readonly [path: string, order: string, openers: readonly Opener[], tried: number]>([
  ['/mcp', 'Streamable HTTP first', [sdkV1, sdkV1Sse], 1],
  ['/mcp', 'HTTP+SSE first', [sdkV1Sse, sdkV1], 2],
  ['/sse', 'Streamable HTTP first', [sdkV1, sdkV1Sse], 2],
  ['/sse', 'HTTP+SSE first', [sdkV1Sse, sdkV1], 1],
])('the SDK’s documented fallback ends well at %s, %s', async (path, _, openers, expected) => {
  const { url } = await startGateway((await startEverything()).port);

  const { client, tried } = await firstThatConnects(url.replace(/\/mcp$/, path), openers);

  expect(tried).toBe(expected);
  await saysHello(client, 'after the fallback');
});

test.each(mcpRemotes)('%s falls back to HTTP+SSE at /sse by itself', async (peer) => {
  const { url } = await startGateway((await startEverything()).port);
  const remote = new McpRemote(peer, sseOf(url));

  remote.send(initialize);
  await remote.answerTo(0);
  remote.send(initialized);
  remote.send(echo(1, 'from stdio'));

  expect(await remote.answerTo(1)).toMatchObject(echoed(1, 'from stdio'));
});

test('against a server of this project’s own, 20 old clients get their own answers', async () => {
  const { url } = await startGateway((await startOwnServer()).port);
  const clients = await Promise.all(Array.from({ length: 20 }, () => sdkV1Sse(sseOf(url))));

  await Promise.all(clients.map(({ client, transport }) => client.connect(transport)));
  const lists = await Promise.all(clients.map(({ client }) => client.listTools()));

  expect(new Set(lists.map(({ tools }) => tools.length)).size).toBe(1);
});
