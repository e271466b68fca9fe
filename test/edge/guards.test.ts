// Hooks without a promise: what they throw must stay with the request.

import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { refusing } from '../../src/edge/guards.ts';

test.each<[what: string, find: () => ProxyError | null, status: number]>([
  ['nothing', () => null, 200],
  ['a refusal', () => new ProxyError('path_unknown', 'not here'), 404],
  [
    'something thrown',
    () => {
      throw new TypeError('a fault of ours');
    },
    500,
  ],
])('%s: the request is answered, and so is the next', async (_what, find, status) => {
  const app = Fastify();
  let times = 0;
  app.addHook(
    'onRequest',
    refusing(
      () => (times++ === 0 ? find() : null),
      (reply, error) => reply.code(error.status).send(error.code),
    ),
  );
  app.get('/', () => 'here');

  const first = await app.inject('/');
  const second = await app.inject('/');

  expect([first.statusCode, second.statusCode]).toEqual([status, 200]);
});
