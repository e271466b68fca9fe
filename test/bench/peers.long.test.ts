// All peers of the bench, those from npm and from the system too: each carries a call of the kinds it says it can, and nothing of them is
// left when the bench is over, however it ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { sessionCallers } from '../../bench/callers.ts';
import { nextMessage, startChild } from '../../bench/child.ts';
import type { LoadFigures } from '../../bench/load-messages.ts';
import { runLoad } from '../../bench/load.ts';
import { cpuUs, type Peer, PEER_NAMES, startPeers } from '../../bench/peers.ts';
import { eventually, within } from '../support/eventually.ts';
import { modernMessage } from '../support/modern-client.ts';
import { hasEnded } from './ended.ts';
import { callOnce, rightAnswer } from './one-call.ts';

const MiB = 1024 * 1024;
const WAIT_MS = 60_000;
/** Of the peers that are not one process. */
const CHILDREN: Readonly<Record<string, number>> = {
  direct: 0,
  'mcp-proxy': 2,
  supergateway: 3,
  'causeway-replicas': 2,
  'causeway-store': 2,
};
const MODERN_RESULT = { resultType: 'complete', content: [{ text: 'm:' }] };

async function upstreamPort(): Promise<number> {
  const upstream = startChild('./upstream.ts');
  onTestFinished(() => upstream.disconnect());
  return (await nextMessage<{ port: number }>(upstream)).port;
}

test.each(PEER_NAMES)('%s carries what it says it can, and goes with all its children', async (name) => {
  const [peer = expect.fail()] = await startPeers([name], await upstreamPort());
  onTestFinished(() => peer.stop());

  const kinds = [
    { nonce: 'a', size: 16 },
    ...(peer.can.has('mib8') ? [{ nonce: 'b', size: 8 * MiB }] : []),
    ...(peer.can.has('req1') ? [{ nonce: 'c', payload: MiB }] : []),
  ];
  for (const asked of kinds) expect(await callOnce(peer, asked)).toEqual({ ...rightAnswer(asked), before: [] });
  if (peer.can.has('modern')) expect(await modernCall(peer)).toMatchObject({ id: 1, result: MODERN_RESULT });
  const pids = peer.pids();
  peer.stop();

  expect(pids.length).toBeGreaterThanOrEqual(CHILDREN[name] ?? 1);
  expect(await eventually(5_000, () => (pids.every(hasEnded) ? true : null))).toBe(true);
});

test('of two replicas the one passes on what the other holds, and each spends CPU on it', async () => {
  const [peer = expect.fail()] = await startPeers(['causeway-replicas'], await upstreamPort());
  onTestFinished(() => peer.stop());
  const before = cpuUs(peer.apart?.() ?? []);

  const figures = await loaded(peer);

  expect(peer.homes).not.toContain(peer.port);
  expect(figures).toMatchObject({ errors: 0, wrong: 0, misrouted: 0 });
  expect(figures.right).toBeGreaterThan(10);
  expect(cpuUs(peer.apart?.() ?? [])).toBeGreaterThan(before);
});

test.each(['down', 'held'] as const)('sessions are called while their Redis is %s, and it comes back', async (how) => {
  const [peer = expect.fail()] = await startPeers(['causeway-store'], await upstreamPort());
  onTestFinished(() => peer.stop());

  const figures = await loaded(peer, () => peer.store?.leave(how));
  const away = peer.apart?.().length;
  await peer.store?.comeBack(how);

  expect(figures).toMatchObject({ errors: 0, wrong: 0, misrouted: 0 });
  expect(figures.right).toBeGreaterThan(10);
  expect([away, peer.apart?.().length]).toEqual([how === 'down' ? 0 : 1, 1]);
  expect(await loaded(peer)).toMatchObject({ errors: 0, wrong: 0 });
});

async function loaded({ port, path, homes = [port] }: Peer, opened = (): void => {}): Promise<LoadFigures> {
  const crew = await sessionCallers({ port, path, homes }, 4, true);
  opened();
  const tally = await runLoad(crew.callers, { size: 16, progress: 0, payload: 0 }, 0.5);
  await crew.close();
  return tally.figures(crew.misrouted());
}

test.each(['SIGINT', 'SIGTERM'] as const)('nothing is left of them when the bench gets %s', async (signal) => {
  const TMPDIR = mkdtempSync(join(tmpdir(), 'bench-'));
  onTestFinished(() => rmSync(TMPDIR, { recursive: true, force: true }));
  const folders = (): string[] => readdirSync(TMPDIR).filter((name) => name.startsWith('causeway-bench-'));
  const names = ['http-floor', 'nginx', 'naive', 'mcp-proxy', 'supergateway', 'causeway'];
  const bench = spawn(process.execPath, [join(import.meta.dirname, 'started-peers.ts'), ...names], {
    env: { ...process.env, TMPDIR },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void bench.kill('SIGKILL'));

  const pids = JSON.parse(await firstLine(bench)) as number[];
  expect(pids.filter(hasEnded)).toEqual([]);
  const before = folders();
  bench.kill(signal);
  await within(WAIT_MS, 'the end of the bench', once(bench, 'exit'));

  expect(pids.length).toBeGreaterThan(names.length + 2);
  expect(await eventually(5_000, () => (pids.every(hasEnded) ? true : null))).toBe(true);
  expect([before.length, folders()]).toEqual([4, []]);
});

async function modernCall({ port, path }: Peer): Promise<unknown> {
  const message = modernMessage('tools/call', { name: 'echo', arguments: { nonce: 'm', size: 0, progress: 0 } });
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', ...message });
  return response.json();
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  const lines = createInterface({ input: stdout ?? expect.fail() });
  const [line] = (await within(WAIT_MS, 'the start of the peers', once(lines, 'line'))) as [string];
  return line;
}
