// The server that the conformance suite is run against: one process, one definition, served over HTTP+SSE (`GET /sse`,
// `POST /messages`) for the gateway and over Streamable HTTP (`/mcp`) for the reference. What the gateway loses or adds is the
// difference between the two.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { listenOnLoopback } from '../support/loopback.ts';
import { memoryEventStore } from './event-store.ts';
import { answering, capabilities } from './methods.ts';
import { sdkServerClasses, type SdkServer, type SseTransport, type StreamableTransport } from './sdk-server.ts';

const { Server, SSEServerTransport, StreamableHTTPServerTransport } = await sdkServerClasses();

const retryInterval = 300;
const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

const streams = new Map<string, SseTransport>();
const sessions = new Map<string, StreamableTransport>();
const connected = new Set<SdkServer>();

const listener = createServer((incoming, outgoing) => {
  serve(incoming, outgoing).catch((error: unknown) => {
    console.error(error);
    outgoing.destroy();
  });
});
console.log(`listening on loopback port ${await listenOnLoopback(listener)}`);

async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://localhost');
  if (!isForLoopback(incoming)) return refuse(outgoing, 403, 'this is a server of this machine');
  switch (`${incoming.method} ${url.pathname}`) {
    case 'GET /sse':
      return openStream(outgoing);
    case 'POST /messages': {
      const stream = streams.get(url.searchParams.get('sessionId') ?? '');
      if (stream === undefined) return refuse(outgoing, 404, 'there is no such session');
      return stream.handlePostMessage(incoming, outgoing);
    }
    case 'GET /mcp':
    case 'POST /mcp':
    case 'DELETE /mcp':
      return serveStreamable(incoming, outgoing);
    default:
      return refuse(outgoing, 404, 'there is nothing here');
  }
}

async function openStream(outgoing: ServerResponse): Promise<void> {
  const transport = new SSEServerTransport('/messages', outgoing);
  streams.set(transport.sessionId, transport);
  outgoing.once('close', () => streams.delete(transport.sessionId));
  await connect(transport);
}

async function serveStreamable(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const sessionId = incoming.headers['mcp-session-id'];
  const known = sessions.get(String(sessionId));
  if (sessionId !== undefined && known === undefined) return refuse(outgoing, 404, 'there is no such session');
  // What is not an `initialize` gets its 400 from the new transport.
  const transport = known ?? (await newSession());
  return transport.handleRequest(incoming, outgoing);
}

async function newSession(): Promise<StreamableTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
    eventStore: memoryEventStore(),
    retryInterval,
  });
  await connect(transport);
  return transport;
}

async function connect(transport: SseTransport | StreamableTransport): Promise<void> {
  const server = new Server({ name: 'conformance-server', version: '1.0.0' }, { capabilities });
  // The SDK would keep the level to itself, and its own way to log leaves the call's stream.
  server.removeRequestHandler('logging/setLevel');
  const answer = answering();
  server.fallbackRequestHandler = ({ method, params }, extra) =>
    answer(method, params, {
      clientCapabilities: server.getClientCapabilities() ?? {},
      signal: extra.signal,
      notify: (notification, about) => extra.sendNotification({ method: notification, params: about }),
      ask: (request, about, options) =>
        extra.sendRequest({ method: request, params: about }, z.looseObject({}), options),
      announce,
      letGo: () => extra.closeSSEStream?.(),
    });
  server.onclose = () => connected.delete(server);
  await server.connect(transport);
  connected.add(server);
}

/** To all who can take it: the SDK sends nothing about what a client has not declared. */
async function announce(method: string, params: object): Promise<void> {
  await Promise.allSettled(Array.from(connected, (server) => server.notification({ method, params })));
}

/** A page of another site can make a browser come here under that site's name. */
function isForLoopback({ headers }: IncomingMessage): boolean {
  const asked = URL.parse(`http://${headers.host}`)?.hostname;
  return asked !== undefined && loopbackNames.includes(asked);
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }));
}
