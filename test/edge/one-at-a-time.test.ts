// Requests that are sent without waiting for answers, over real sockets.

import { once } from 'node:events';
import { type RequestListener, createServer, get } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { oneAtATime } from '../../src/edge/one-at-a-time.ts';

const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\nx-filler: ${'x'.repeat(150)}\r\n\r\n`;

async function serving(serve: RequestListener): Promise<{ port: number; client: Socket }> {
  const server = createServer(oneAtATime(serve)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server on TCP has one.
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.setEncoding('utf8');
  client.on('error', () => {});
  onTestFinished(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { port, client };
}

async function until(client: Socket, last: string): Promise<string> {
  let all = '';
  while (!all.includes(last)) all += String((await once(client, 'data', { signal: AbortSignal.timeout(5000) }))[0]);
  return all;
}

test('each is served when the one before is answered, in their order, with their bodies', async () => {
  const served: string[] = [];
  let running = 0;
  const { client } = await serving((incoming, response) => {
    running++;
    let body = '';
    incoming.on('data', (piece) => (body += String(piece)));
    incoming.on('end', () => {
      setImmediate(() => {
        served.push(`${incoming.url} ${body} ${running}`);
        running--;
        response.end(incoming.url);
      });
    });
  });

  client.write(request('/1'));
  client.write('POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody');
  client.write(request('/3'));
  const all = await until(client, '/3');
  client.write(request('/4'));

  expect(await until(client, '/4')).toContain('/4');
  expect(all).toMatch(/\/1[^]*\/2[^]*\/3$/);
  expect(served).toEqual(['/1  1', '/2 body 1', '/3  1', '/4  1']);
});

test('a client is not read far ahead of what is served to it, and is served to the end', async () => {
  const count = 4000;
  const length = request('/').length;
  let served = 0;
  let mostAhead = 0;
  const first = Promise.withResolvers<() => void>();
  const { port, client } = await serving((incoming, response) => {
    if (incoming.url === '/other') {
      response.end();
      return;
    }
    mostAhead = Math.max(mostAhead, incoming.socket.bytesRead - ++served * length);
    if (served === 1) first.resolve(() => void response.end());
    else if (served === count) response.end('last');
    else response.end();
  });

  client.write(request('/').repeat(count));
  const answer = await first.promise;
  for (let round = 0; round < 20; round++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: what could be read in the meantime has been
    const [response] = await once(get({ port, path: '/other', agent: false }), 'response');
    response.resume();
  }
  answer();

  await until(client, 'last');
  expect(served).toBe(count);
  expect(mostAhead).toBeLessThan(200_000);
});

test('a client that has left is served no more', async () => {
  const served: string[] = [];
  const left = Promise.withResolvers<void>();
  const { client } = await serving((incoming, response) => {
    served.push(incoming.url ?? '');
    response.on('close', () => setImmediate(left.resolve));
    client.destroy();
  });

  client.write(request('/1') + request('/2'));
  await left.promise;

  expect(served).toEqual(['/1']);
});

test('behind a request that is read in two ways none is served, not even where it waits itself [T11]', async () => {
  const served: string[] = [];
  const first = Promise.withResolvers<() => void>();
  const { client } = await serving((incoming, response) => {
    served.push(incoming.url ?? '');
    if (incoming.url === '/1') first.resolve(() => void response.end('first'));
    else response.end('last');
  });
  const closed = once(client, 'close');

  client.write(request('/1') + request('/2').replace('host: a', 'host: a\r\nhost: b') + request('/3'));
  const answer = await first.promise;
  client.write(request('/4'));
  answer();
  const all = await until(client, 'last');
  await closed;

  expect(served).toEqual(['/1', '/2']);
  expect(all.match(/^connection: .*$/gim)).toEqual(['Connection: keep-alive', 'connection: close']);
});
