// Bodies that are more than they should be, to the built program: refused as soon as that is known, at the cost of the
// bytes that came, while others are served.

import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { JSON_HEADERS, replyIn, requestBytes } from '../support/gateway.ts';
import { MiB, inTurn, send, startGatewayProcess } from '../support/gateway-process.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const LIMIT = 8 * MiB;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };
const HEADERS = [['host', 'localhost'], ...Object.entries(JSON_HEADERS)] as const;
const message = (params: string): string => `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${params}}`;
const sized = (body: string): string =>
  requestBytes('POST', '/mcp', [...HEADERS, ['content-length', String(Buffer.byteLength(body))]], body);
const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${' '.repeat(bytes)}\r\n`;

interface Giant {
  readonly what: string;
  readonly bytes: string;
  readonly status: number;
  readonly reason: string;
}

const GIANTS: readonly Giant[] = [
  {
    what: 'a gigabyte that is only declared',
    bytes: requestBytes('POST', '/mcp', [...HEADERS, ['content-length', '1000000000']]),
    status: 413,
    reason: 'body_too_large',
  },
  {
    what: 'chunks over the limit',
    bytes: requestBytes('POST', '/mcp', [...HEADERS, ['transfer-encoding', 'chunked']], chunk(MiB).repeat(9)),
    status: 413,
    reason: 'body_too_large',
  },
  { what: 'a million levels', bytes: sized(message('['.repeat(1e6))), status: 400, reason: 'invalid_request' },
  {
    what: 'a million levels of objects',
    bytes: sized(message('{"a":'.repeat(1e6))),
    status: 400,
    reason: 'invalid_request',
  },
  {
    what: 'a batch of 100,000',
    bytes: sized(`[${'{"jsonrpc":"2.0","id":1,"method":"ping"},'.repeat(1e5)}1]`),
    status: 400,
    reason: 'invalid_request',
  },
  {
    what: 'an id of a million digits',
    bytes: sized(`{"jsonrpc":"2.0","id":${'9'.repeat(1e6)}.5,"method":"ping"}`),
    status: 400,
    reason: 'invalid_request',
  },
  {
    what: 'a million keys, the last of them broken',
    bytes: sized(message(`{${'"a":1,'.repeat(1e6)}`)),
    status: 400,
    reason: 'parse_error',
  },
];

test('giant, deep and many-parted bodies are refused at once, and cost what came of them [T18]', async () => {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGatewayProcess(upstream.url, '--log-level=warn', `--limits-body-bytes=${LIMIT}B`);
  const { hostname, port } = new URL(gateway.endpoint);
  await upstream.nextStream();
  // What the first calls cost is not theirs.
  await inTurn(100, 1, () => send(gateway.endpoint, CALL));
  const before = await gateway.rss();

  for (const { what, bytes, status, reason } of GIANTS) {
    // oxlint-disable no-await-in-loop -- each with a call beside it
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    const startedAt = performance.now();
    socket.write(bytes);
    const beside = send(gateway.endpoint, CALL);
    await once(socket, 'data', { signal: AbortSignal.timeout(10_000) });
    const answer = await beside;
    const tookMs = performance.now() - startedAt;
    // oxlint-enable no-await-in-loop
    const reply = replyIn(text);
    expect([what, reply.status, reply.json]).toMatchObject([what, status, { error: { data: { reason } } }]);
    expect([what, JSON.parse(answer.text)]).toMatchObject([what, { result: { content: [{ text: '3' }] } }]);
    expect(tookMs, what).toBeLessThan(2000);
    socket.destroy();
  }

  expect(upstream.received.filter(({ message: { id } }) => id === 7)).toEqual([]);
  await gateway.heapBytes();
  expect((await gateway.rss()) - before).toBeLessThan(32 * MiB);
});
