// A minimal legacy MCP server on plain node:http, a child process: as cheap as one can be, so that it hides as little
// as possible of the peers' cost. GET /sse and POST /messages as the deprecated transport has them, and POST /json,
// which answers the same calls with plain JSON: what the floors forward to.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { endWithParent, listen } from './child.ts';
import { echoAnswerHead, echoAnswerTail, paddingBytes, progressNotification, type EchoArguments } from './echo-tool.ts';

interface Received {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly arguments?: EchoArguments;
    readonly _meta?: { readonly progressToken?: number | string };
  };
}

type Part = string | Buffer;

const streams = new Map<string, ServerResponse>();
let opened = 0;

const server = createServer((request, response) => {
  const url = request.url ?? '/';
  if (request.method === 'GET' && url === '/sse') {
    openStream(request, response);
    return;
  }
  if (request.method !== 'POST') {
    response.writeHead(404).end();
    return;
  }
  if (url === '/json') {
    readBody(request, (received) => {
      const parts = answerTo(received);
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': length });
      writeTogether(response, parts);
      response.end();
    });
    return;
  }
  const stream = streams.get(url.slice(url.indexOf('=') + 1));
  if (!url.startsWith('/messages?') || stream === undefined) {
    response.writeHead(404).end();
    return;
  }
  readBody(request, (received) => {
    response.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted');
    sendProgress(stream, received);
    if (received.id === undefined) return;
    writeTogether(stream, ['event: message\ndata: ', ...answerTo(received), '\n\n']);
  });
});
// Connections idle while other peers have their round.
server.keepAliveTimeout = 120_000;

function openStream(request: IncomingMessage, response: ServerResponse): void {
  opened += 1;
  const name = String(opened);
  streams.set(name, response);
  request.on('close', () => streams.delete(name));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write(`event: endpoint\ndata: /messages?sessionId=${name}\n\n`);
}

function readBody(request: IncomingMessage, take: (received: Received) => void): void {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => {
    text += part;
  });
  request.on('end', () => {
    // Nobody but this bench's own peers speaks to this server; anything unexpected ends it, and the bench with it.
    const received: Received = JSON.parse(text);
    take(received);
  });
}

function sendProgress(stream: ServerResponse, received: Received): void {
  const total = received.params?.arguments?.progress ?? 0;
  // A sharing gateway may add its own member to `_meta`, but only a token asks for progress.
  const token = received.params?.['_meta']?.progressToken;
  if (token === undefined) return;
  for (let step = 1; step <= total; step += 1) {
    stream.write(`event: message\ndata: ${progressNotification(JSON.stringify(token), step, total)}\n\n`);
  }
}

/** The answer in parts, all of them ASCII. */
function answerTo(received: Received): Part[] {
  const idText = JSON.stringify(received.id ?? null);
  const asked = received.params?.arguments;
  if (received.method === 'tools/call' && asked) {
    return [echoAnswerHead(asked.nonce), paddingBytes(asked.size), echoAnswerTail(idText)];
  }
  return [`{"result":${JSON.stringify(resultOf(received))},"jsonrpc":"2.0","id":${idText}}`];
}

/** One write and, where chunks are used, one HTTP chunk; small answers as one string, large ones without gluing. */
function writeTogether(to: ServerResponse, parts: readonly Part[]): void {
  if (parts.every((part) => part.length < 4096)) {
    to.write(parts.join(''), 'latin1');
    return;
  }
  to.cork();
  for (const part of parts) to.write(part);
  to.uncork();
}

function resultOf(received: Received): unknown {
  switch (received.method) {
    case 'initialize':
      return {
        protocolVersion: '2024-11-05',
        capabilities: { tools: {} },
        serverInfo: { name: 'bench-upstream', version: '1' },
      };
    case 'tools/list':
      return {
        tools: [
          {
            name: 'echo',
            description: 'Says the nonce again, with as much padding as wanted.',
            inputSchema: {
              type: 'object',
              properties: { nonce: { type: 'string' }, size: { type: 'integer' }, progress: { type: 'integer' } },
              required: ['nonce'],
            },
          },
        ],
      };
    default:
      return {};
  }
}

endWithParent();
process.send?.({ port: await listen(server) });
