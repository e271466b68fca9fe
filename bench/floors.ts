// The floors, each in a child process: gateways that only forward a POST to the upstream's plain JSON endpoint. What
// they cost is the price of one HTTP hop in Node; what Causeway costs more is the price of the bridge.
//   http-floor       Fastify and @fastify/reply-from, bodies streamed through
//   http-floor-buf   Fastify, bodies buffered, undici's Pool.dispatch
//   http-floor-node  plain node:http, bodies buffered, undici's Pool.dispatch
import { createServer, type Server } from 'node:http';
import replyFrom from '@fastify/reply-from';
import Fastify, { type FastifyInstance } from 'fastify';
import { Agent, Pool } from 'undici';
import { endWithParent, listen } from './child.ts';

const BODY_LIMIT_BYTES = 16 * 1024 * 1024;
const POOL = { connections: 64, pipelining: 1 };

type Answered = (status: number, body: Buffer | Error) => void;

async function streamingFloor(target: string): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: BODY_LIMIT_BYTES });
  await app.register(replyFrom, {
    base: target,
    undici: new Agent({ connections: 128, pipelining: 1 }),
    retryMethods: [],
    disableRequestLogging: true,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.post('/mcp', (_request, reply) => reply.from('/json'));
  return app;
}

function bufferingFloor(target: string): FastifyInstance {
  const app = Fastify({ bodyLimit: BODY_LIMIT_BYTES });
  const pool = new Pool(target, POOL);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post<{ Body: Buffer }>('/mcp', (request, reply) => {
    forward(pool, request.body, (status, body) => {
      reply.code(status).header('content-type', 'application/json').send(body);
    });
    return reply;
  });
  return app;
}

function plainFloor(target: string): Server {
  const pool = new Pool(target, POOL);
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      forward(pool, joined(parts), (status, body) => {
        const bytes = body instanceof Error ? Buffer.from(body.message) : body;
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length }).end(bytes);
      });
    });
  });
  // As long as Fastify's: the load must not meet a connection that is just closing.
  server.keepAliveTimeout = 72_000;
  return server;
}

function forward(pool: Pool, body: Buffer, answered: Answered): void {
  const parts: Buffer[] = [];
  let status = 0;
  pool.dispatch(
    { path: '/json', method: 'POST', headers: { 'content-type': 'application/json' }, body },
    {
      onRequestStart() {},
      onResponseStart(_controller, code) {
        status = code;
      },
      onResponseData(_controller, part) {
        parts.push(part);
      },
      onResponseEnd: () => answered(status, joined(parts)),
      onResponseError: (_controller, error) => answered(502, error),
    },
  );
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first] = parts;
  return parts.length === 1 && first ? first : Buffer.concat(parts);
}

async function start(name: string | undefined, target: string): Promise<number> {
  if (name === 'http-floor-node') return listen(plainFloor(target));
  const app = name === 'http-floor' ? await streamingFloor(target) : bufferingFloor(target);
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
}

const [name, target = ''] = process.argv.slice(2);
const port = await start(name, target);
endWithParent();
process.send?.({ port });
