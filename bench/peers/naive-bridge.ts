// The bridge that one writes in an hour: the two transports of the official SDK, wired to each other, one link upstream per
// session. A child process of the bench. Nothing in it is tuned, and nothing is made slower than a user would make it.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { classLike, importPeer } from '../../test/peers/support/packages.ts';
import { z } from 'zod';
import { endWithParent, listen } from '../child.ts';

interface Transport {
  onmessage?: (message: unknown) => void;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  start(): Promise<void>;
  send(message: unknown): Promise<void>;
  close(): Promise<void>;
}

interface Front extends Transport {
  readonly sessionId?: string;
  handleRequest(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

interface FrontOptions {
  readonly sessionIdGenerator: () => string;
  readonly onsessioninitialized: (id: string) => void;
}

const SDK = '@modelcontextprotocol/sdk';
const { StreamableHTTPServerTransport } = z
  .object({ StreamableHTTPServerTransport: classLike<new (options: FrontOptions) => Front>() })
  .parse(await importPeer(SDK, 'dist/esm/server/streamableHttp.js'));
const { SSEClientTransport } = z
  .object({ SSEClientTransport: classLike<new (url: URL) => Transport>() })
  .parse(await importPeer(SDK, 'dist/esm/client/sse.js'));

const upstream = new URL(process.argv[2] ?? '');
const fronts = new Map<string, Front>();

/** A session that ends aborts what is still being sent. */
function unlessClosed(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) console.error(error);
}

async function openSession(): Promise<Front> {
  const front = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void fronts.set(id, front),
  });
  const back = new SSEClientTransport(upstream);
  front.onmessage = (message) => void back.send(message).catch(unlessClosed);
  back.onmessage = (message) => void front.send(message).catch(console.error);
  front.onclose = () => {
    fronts.delete(front.sessionId ?? '');
    void back.close();
  };
  back.onclose = () => void front.close();
  await Promise.all([front.start(), back.start()]);
  return front;
}

const server = createServer((request, response) => {
  const id = request.headers['mcp-session-id'];
  const known = typeof id === 'string' ? fronts.get(id) : undefined;
  if (known === undefined && id !== undefined) {
    response.writeHead(404).end();
    return;
  }
  const front = known === undefined ? openSession() : Promise.resolve(known);
  front
    .then(async (opened) => {
      await opened.handleRequest(request, response);
      // Refused: it was no initialize.
      if (opened.sessionId === undefined) await opened.close();
    })
    .catch((error: unknown) => {
      console.error(error);
      response.writeHead(502).end();
    });
});
// The load must not meet a connection that is just closing.
server.keepAliveTimeout = 72_000;

endWithParent();
process.send?.({ port: await listen(server) });
