// The floors, each in a child process: gateways that only forward a POST to the upstream's plain JSON endpoint. What
// they cost is the price of one HTTP hop in Node; what Causeway costs more is the price of the bridge.
//   http-floor      Fastify and @fastify/reply-from, bodies streamed through
//   http-floor-buf  Fastify, bodies buffered, undici's Pool.dispatch
import replyFrom from '@fastify/reply-from';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { Agent, Pool } from 'undici';
import { endWithParent } from './child.ts';

const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

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
  const pool = new Pool(target, { connections: 64, pipelining: 1 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.post<{ Body: Buffer }>('/mcp', (request, reply) => {
    forward(pool, request.body, reply);
    return reply;
  });
  return app;
}

function forward(pool: Pool, body: Buffer, reply: FastifyReply): void {
  const parts: Buffer[] = [];
  pool.dispatch(
    { path: '/json', method: 'POST', headers: { 'content-type': 'application/json' }, body },
    {
      onRequestStart() {},
      onResponseStart(_controller, status) {
        reply.code(status);
      },
      onResponseData(_controller, part) {
        parts.push(part);
      },
      onResponseEnd() {
        const [first] = parts;
        reply.header('content-type', 'application/json');
        reply.send(parts.length === 1 && first ? first : Buffer.concat(parts));
      },
      onResponseError(_controller, error) {
        reply.code(502).send(error);
      },
    },
  );
}

const [name, target = ''] = process.argv.slice(2);
const app = name === 'http-floor' ? await streamingFloor(target) : bufferingFloor(target);
const address = await app.listen({ host: '127.0.0.1', port: 0 });
endWithParent();
process.send?.({ port: Number(new URL(address).port) });
