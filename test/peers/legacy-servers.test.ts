// The legacy servers that people run, each used through the gateway by every kind of client: one with a session, one that
// only posts, and one of HTTP+SSE, which is passed through where the server can take it. Several of a kind at once, so that
// a mix-up shows.
import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startGateway } from './support/gateway.ts';
import { playwrightMcp, startSupergateway } from './support/legacy-peers.ts';
import { legacyServers, type Connect, type LegacyServer, type ToolCall } from './support/legacy-servers.ts';
import { listenOnLoopback } from './support/loopback.ts';
import { answer, post, request } from './support/raw-mcp.ts';
import { connectedClient, oldClient } from './support/sessions/client.ts';
import { place, textOf } from './support/sessions/places.ts';

/** Several browsers may be starting. */
const withinMs = 60_000;

const sseOf = (url: string): string => url.replace(/\/mcp$/, '/sse');
const sessions =
  (url: string): Connect =>
  (options) =>
    connectedClient('v1', url, options);
const oldClients =
  (url: string): Connect =>
  (options) =>
    oldClient(sseOf(url), options);

describe.each(legacyServers)('$name', (server) => {
  const here = place(server.start, ...server.flags);

  test('clients with sessions get their own answers, and hear what the server says of its own accord', async () => {
    const connect = sessions(here().url);

    await useAtOnce(server, connect);
    await server.speaks(connect);
  });

  test('callers without a session get their own answers', async () => {
    await callAtOnce(server, here().url);
  });

  if (server.servesOldClients === 'always') {
    test('HTTP+SSE clients get their own answers, and hear what the server says of its own accord', async () => {
      const connect = oldClients(here().url);

      await useAtOnce(server, connect);
      await server.speaks(connect);
    });

    test('all three kinds at the same time get their own answers', async () => {
      const { url } = here();

      await Promise.all([
        useAtOnce(server, sessions(url)),
        callAtOnce(server, url),
        useAtOnce(server, oldClients(url)),
      ]);
    });
  }

  if (server.servesOldClients === 'never') {
    test('an HTTP+SSE client is refused, and harms nobody', async () => {
      const { url, server: peer } = here();

      await expect(oldClient(sseOf(url))).rejects.toThrow('404');
      await expectRefusal(url);

      await Promise.all([useAtOnce(server, sessions(url)), callAtOnce(server, url)]);
      expect(peer.child.isAlive).toBe(true);
    });
  }

  if (server.servesOldClients === 'until it is found to broadcast') {
    test('an HTTP+SSE client is served until the server is found to broadcast, then refused', async () => {
      const { child, url } = await startGateway((await startSupergateway()).port);
      const served = await oldClient(sseOf(url));
      const { name, args, text } = server.call(1);

      const before = await served.call(name, args);
      // Two links at once are enough to find out.
      await Promise.all([sessions(url)(), sessions(url)()]);
      await child.printed(({ stderr }) => /one link/.exec(stderr)?.[0], 'line that says it runs on one link');

      expect(textOf(before)).toEqual(text);
      await expect(served.call(name, args)).rejects.toThrow('404');
      await expect(oldClient(sseOf(url))).rejects.toThrow('404');
      await expectRefusal(url);
      await Promise.all([useAtOnce(server, sessions(url)), callAtOnce(server, url)]);
    });
  }
});

describe('a browser behind the gateway', () => {
  const here = place(playwrightMcp);

  test('stays on the page that its session went to, and is not the browser of another one', async () => {
    const page = await startPage('A page of this test');
    const connect = sessions(here().url);
    const [one, other] = await Promise.all([connect(), connect()]);

    const went = await one.call('browser_navigate', { url: page });
    const places = await Promise.all(
      [one, other].map((client) => client.call('browser_evaluate', { function: '() => location.href' })),
    );

    expect(textOf(went)).toContain('Page Title: A page of this test');
    expect(textOf(places[0])).toContain(`"${page}"`);
    expect(textOf(places[1])).toContain('"about:blank"');
  });
});

/** Clients that each list the tools and call one. */
async function useAtOnce(server: LegacyServer, connect: Connect): Promise<void> {
  const uses = await Promise.all(
    calls(server).map(async ({ name, args, text }) => {
      const client = await connect();
      const { tools } = await client.sdk.listTools();
      const result = await client.call(name, args);
      return { names: tools.map((tool) => tool.name), said: textOf(result), expected: text, errors: client.errors };
    }),
  );

  for (const { names, said, expected, errors } of uses) {
    expect(names).toEqual(expect.arrayContaining([...server.tools]));
    expect(said).toEqual(expected);
    expect(errors).toEqual([]);
  }
}

/** Callers that each send two requests, without a handshake and with the same ids as all others. */
async function callAtOnce(server: LegacyServer, url: string): Promise<void> {
  const replies = await Promise.all(
    calls(server).map(async ({ name, args, text }) => ({
      listed: answer(await post(url, request(1, 'tools/list', {}), {}, withinMs)),
      called: answer(await post(url, request(2, 'tools/call', { name, arguments: args }), {}, withinMs)),
      expected: text,
    })),
  );

  const tools = expect.arrayContaining(server.tools.map((name) => expect.objectContaining({ name })));
  for (const { listed, called, expected } of replies) {
    expect(listed).toMatchObject({ id: 1, result: { tools } });
    expect(called).toMatchObject({ id: 2, result: { content: [{ type: 'text', text: expected }] } });
  }
}

function calls({ atOnce, call }: LegacyServer): readonly ToolCall[] {
  return Array.from({ length: atOnce }, (_, n) => call(n));
}

/** What a GET of the event stream gets where HTTP+SSE clients are not let through. */
async function expectRefusal(url: string): Promise<void> {
  const reply = await fetch(sseOf(url), {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.timeout(10_000),
  });

  expect(reply.status).toBe(404);
  expect(await reply.json()).toMatchObject({ error: { data: { reason: 'path_unknown' } } });
}

/** The URL of a page with that title. */
async function startPage(title: string): Promise<string> {
  const site = createServer((_incoming, outgoing) =>
    outgoing.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>${title}</title>`),
  );
  const port = await listenOnLoopback(site);
  onTestFinished(() => {
    site.close();
    site.closeAllConnections();
  });
  return `http://127.0.0.1:${port}/`;
}
