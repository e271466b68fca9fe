// Clients that keep a connection and give nothing for it: how long they are borne with, and what others notice of them.

import { type Socket, connect } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { requestBytes } from '../support/gateway.ts';
import { send } from '../support/gateway-process.ts';

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };
const HEADERS = [
  ['host', 'localhost'],
  ['content-type', 'application/json'],
  ['accept', 'application/json, text/event-stream'],
] as const;
/** Between two drops of one client. */
const DRIP_MS = 50;

interface Slow {
  /** At once. */
  readonly first: string;
  /** Then again and again, as long as it may. */
  readonly drop: string;
}

const KINDS: Readonly<Record<string, Slow>> = {
  'say nothing': { first: '', drop: '' },
  'send headers byte by byte': { first: 'POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-slow: ', drop: 'x' },
  'send a body byte by byte': {
    first: requestBytes('POST', '/mcp', [...HEADERS, ['content-length', '9999']]),
    drop: ' ',
  },
  'send chunks without end': {
    first: requestBytes('POST', '/mcp', [...HEADERS, ['transfer-encoding', 'chunked']]),
    drop: '1\r\n \r\n',
  },
  'say nothing more after an answer': { first: requestBytes('GET', '/healthz', [['host', 'localhost']]), drop: '' },
};

/** So many of each kind: all of them are let go within this time, and calls of others are answered meanwhile. */
export async function slowClients(endpoint: string, perKind: number, withinMs: number): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  const open = new Map<Socket, string>();
  onTestFinished(() => {
    clearInterval(drip);
    for (const socket of open.keys()) socket.destroy();
  });
  const drip = setInterval(() => {
    for (const [socket, kind] of open) if (socket.readyState === 'open') socket.write(KINDS[kind]?.drop ?? '');
  }, DRIP_MS);
  const startedAt = performance.now();
  for (const [kind, { first }] of Object.entries(KINDS)) {
    for (let i = 0; i < perKind; i++) {
      const socket = connect(Number(port), hostname, () => socket.write(first));
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
      socket.resume();
      open.set(socket, kind);
    }
  }

  const seen = { calls: 0, slowestMs: 0, answers: new Set<string>() };
  while (open.size > 0 && performance.now() - startedAt < withinMs) {
    const sentAt = performance.now();
    // oxlint-disable-next-line no-await-in-loop -- one after the other, while the slow ones are there
    const answer = await send(endpoint, CALL);
    seen.answers.add(`${answer.status} ${answer.text}`);
    seen.slowestMs = Math.max(seen.slowestMs, performance.now() - sentAt);
    seen.calls++;
  }

  // Those that are left, by their kind.
  expect([...open.values()]).toEqual([]);
  expect([...seen.answers]).toEqual([expect.stringMatching(/^200 .*"text":"3"/)]);
  expect(seen.calls).toBeGreaterThan(1);
  expect(seen.slowestMs).toBeLessThan(withinMs / 2);
}
