// A minimal legacy MCP server on plain node:http, a child process: as cheap as one can be, so that it hides as little
// as possible of the peers' cost. GET /sse and POST /messages as the deprecated transport has them, and POST /json,
// which answers the same calls with plain JSON: what the floors forward to.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { endWithParent, listen } from './child.ts';
import {
  askAnswer,
  echoAnswerHead,
  echoAnswerTail,
  padding,
  paddingBytes,
  progressNotification,
  question,
  type EchoArguments,
} from './echo-tool.ts';

interface Received {
  readonly id?: number | string;
  /** None: an answer to what this server asked. */
  readonly method?: string;
  readonly params?: {
    readonly name?: string;
    readonly arguments?: EchoArguments;
    readonly _meta?: { readonly progressToken?: number | string };
  };
  readonly result?: { readonly content?: { readonly word?: string } };
}

interface Call {
  readonly received: Received;
  /** What the answer tells of a payload that was cut out before the rest was parsed. */
  readonly payload: number | 'changed' | undefined;
}

interface Stream {
  readonly response: ServerResponse;
  /** The calls that wait for the answer to a question, by the id of the question. */
  readonly asking: Map<number, { readonly nonce: string; readonly idText: string }>;
  questions: number;
}

type Part = string | Buffer;

const PAYLOAD = Buffer.from('"payload":"');
const QUOTE = 0x22;
/** Above this, a request is large by its payload, and parsing that would cost more than all the rest. */
const LARGE_BYTES = 16 * 1024;

const streams = new Map<string, Stream>();
let opened = 0;

const server = createServer((request, response) => {
  const url = request.url ?? '/';
  if (request.method === 'GET' && url === '/sse') {
    openStream(response);
    return;
  }
  if (request.method !== 'POST') {
    response.writeHead(404).end();
    return;
  }
  if (url === '/json') {
    readBody(request, (call) => {
      const parts = answerTo(call);
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
  readBody(request, (call) => {
    response.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted');
    take(stream, call);
  });
});
// Connections idle while other peers have their round.
server.keepAliveTimeout = 120_000;

function openStream(response: ServerResponse): void {
  opened += 1;
  const name = String(opened);
  streams.set(name, { response, asking: new Map(), questions: 0 });
  response.on('close', () => streams.delete(name));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write(`event: endpoint\ndata: /messages?sessionId=${name}\n\n`);
}

function take(stream: Stream, call: Call): void {
  const { received } = call;
  if (received.method === undefined) {
    takeWord(stream, received);
    return;
  }
  if (received.id === undefined) return;
  if (received.params?.name === 'ask') {
    ask(stream, received);
    return;
  }
  sendProgress(stream.response, received);
  writeTogether(stream.response, ['event: message\ndata: ', ...answerTo(call), '\n\n']);
}

/** The ids of the questions collide across streams on purpose, as those of the calls do. */
function ask(stream: Stream, received: Received): void {
  stream.questions += 1;
  const nonce = received.params?.arguments?.nonce ?? '';
  stream.asking.set(stream.questions, { nonce, idText: JSON.stringify(received.id) });
  stream.response.write(`event: message\ndata: ${question(stream.questions, nonce)}\n\n`, 'latin1');
}

function takeWord({ response, asking }: Stream, { id, result }: Received): void {
  if (typeof id !== 'number') return;
  const call = asking.get(id);
  if (call === undefined) return;
  asking.delete(id);
  const answer = askAnswer(call.nonce, result?.content?.word ?? '', call.idText);
  response.write(`event: message\ndata: ${answer}\n\n`, 'latin1');
}

function readBody(request: IncomingMessage, use: (call: Call) => void): void {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const [first] = parts;
    use(parse(parts.length === 1 && first ? first : Buffer.concat(parts)));
  });
}

/** Nobody but this bench's own peers speaks to this server; anything unexpected ends it, and the bench with it. */
function parse(bytes: Buffer): Call {
  const at = bytes.length < LARGE_BYTES ? -1 : bytes.indexOf(PAYLOAD);
  if (at === -1) {
    const received: Received = JSON.parse(bytes.toString());
    const text = received.params?.arguments?.payload;
    if (text === undefined) return { received, payload: undefined };
    return { received, payload: text === padding(text.length) ? text.length : 'changed' };
  }
  // Padding holds nothing that JSON escapes, so it ends at the next quote, or it is not what was sent.
  const start = at + PAYLOAD.length;
  const end = bytes.indexOf(QUOTE, start);
  const received: Received = JSON.parse(bytes.toString('utf8', 0, start) + bytes.toString('utf8', end));
  const isWhole = paddingBytes(end - start).compare(bytes, start, end) === 0;
  return { received, payload: isWhole ? end - start : 'changed' };
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
function answerTo({ received, payload }: Call): Part[] {
  const idText = JSON.stringify(received.id ?? null);
  const asked = received.params?.arguments;
  if (received.method === 'tools/call' && asked) {
    return [echoAnswerHead(asked.nonce, payload), paddingBytes(asked.size), echoAnswerTail(idText)];
  }
  return [`{"result":${JSON.stringify(resultOf(received.method))},"jsonrpc":"2.0","id":${idText}}`];
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

function resultOf(method: string | undefined): unknown {
  switch (method) {
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
              properties: {
                nonce: { type: 'string' },
                size: { type: 'integer' },
                progress: { type: 'integer' },
                payload: { type: 'string' },
              },
              required: ['nonce'],
            },
          },
          {
            name: 'ask',
            description: 'Asks for a word, and says the nonce and the word.',
            inputSchema: { type: 'object', properties: { nonce: { type: 'string' } }, required: ['nonce'] },
          },
        ],
      };
    default:
      return {};
  }
}

endWithParent();
process.send?.({ port: await listen(server) });
