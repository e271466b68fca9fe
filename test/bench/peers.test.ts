// The bench's peers that need nothing but what is installed anyway: each is asked one call of every kind it says it can.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nextMessage, startChild } from '../../bench/child.ts';
import { padding } from '../../bench/echo-tool.ts';
import { cpuUs, type Peer, PEER_NAMES, type PeerName, rssBytes, startPeers, whoStarts } from '../../bench/peers.ts';
import { Program } from '../../bench/peers/program.ts';
import { eventually } from '../support/eventually.ts';
import { JSON_HEADERS } from '../support/gateway.ts';
import { modernMessage } from '../support/modern-client.ts';
import { hasEnded } from './ended.ts';
import { callOnce, rightAnswer } from './one-call.ts';

const NAMES = ['direct', 'http-floor', 'http-floor-buf', 'http-floor-node', 'causeway'] as const;
const MiB = 1024 * 1024;

let upstreamPort = 0;
let peers: Peer[] = [];
let stopUpstream = (): void => {};

beforeAll(async () => {
  const upstream = startChild('./upstream.ts');
  stopUpstream = () => upstream.disconnect();
  ({ port: upstreamPort } = await nextMessage<{ port: number }>(upstream));
  peers = await startPeers(NAMES, upstreamPort);
});

afterAll(async () => {
  const pids = peers.flatMap((peer) => peer.pids());
  for (const peer of peers) peer.stop();
  stopUpstream();
  expect(await eventually(5_000, () => (pids.every(hasEnded) ? true : null))).toBe(true);
});

function peerOf(name: (typeof NAMES)[number]): Peer {
  return peers.find((peer) => peer.name === name) ?? expect.fail(`${name} is not there`);
}

test.each(NAMES)('%s carries a call, a large answer and a large request', async (name) => {
  const peer = peerOf(name);

  // One of 8 MiB takes the long run.
  for (const asked of [{ nonce: 'a' }, { nonce: 'b', size: MiB }, { nonce: 'c', size: 16, payload: MiB }]) {
    expect(await callOnce(peer, asked)).toEqual({ ...rightAnswer(asked), before: [] });
  }
});

test.each(['direct', 'causeway'] as const)('%s carries ten notifications before the answer', async (name) => {
  const asked = { nonce: 'p', size: 16, progress: 10 };

  const { before, ...answer } = await callOnce(peerOf(name), asked);

  expect(answer).toEqual(rightAnswer(asked));
  expect(before).toEqual(Array.from({ length: 10 }, () => 'notifications/progress'));
});

test('causeway carries a call in two rounds: the upstream asks, and answers what it was told', async () => {
  const call = { name: 'ask', arguments: { nonce: 'r' } };
  const round = async (params: object): Promise<unknown> => {
    const message = modernMessage('tools/call', { ...call, ...params }, { capabilities: { elicitation: {} } });
    const response = await fetch(`http://127.0.0.1:${peerOf('causeway').port}/mcp`, { method: 'POST', ...message });
    return response.json();
  };

  const first = (await round({})) as { result: { requestState: string; inputRequests: Record<string, unknown> } };
  const [key, asked] = Object.entries(first.result.inputRequests)[0] ?? expect.fail();
  const word = { action: 'accept', content: { word: 'plum' } };
  const second = await round({ requestState: first.result.requestState, inputResponses: { [key]: word } });

  expect(asked).toMatchObject({ method: 'elicitation/create', params: { message: 'r' } });
  expect(second).toMatchObject({ id: 1, result: { content: [{ text: 'r:plum' }] } });
});

test.each([100, MiB])('the upstream notices that one byte of a payload of %i was changed', async (length) => {
  const payload = `${padding(length - 1)}!`;
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { arguments: { nonce: 'n', size: 0, payload } } };

  const response = await fetch(`http://127.0.0.1:${upstreamPort}/json`, {
    method: 'POST',
    headers: JSON_HEADERS,
    body: JSON.stringify(call),
  });

  expect(await response.json()).toMatchObject({ result: { content: [{ text: 'n+changed:' }] } });
});

test('CPU and memory are told of the processes of a peer, and of none where there is none', () => {
  const [gateway, direct] = [peerOf('causeway').pids(), peerOf('direct').pids()];

  expect(gateway.length).toBe(1);
  expect(cpuUs(gateway)).toBeGreaterThan(10_000);
  expect(rssBytes(gateway)).toBeGreaterThan(30 * MiB);
  expect([cpuUs(direct), rssBytes(direct)]).toEqual([Number.NaN, Number.NaN]);
});

test('a program that ends before it is ready is an error that shows what it printed', async () => {
  const program = new Program({
    name: 'the liar',
    command: process.execPath,
    args: () => ['-e', 'console.log("no port for me"); process.exit(3)'],
  });

  await expect(program.ready(() => undefined)).rejects.toThrow(/^the liar ended with 3: no port for me/);
});

test('who is not installed is left out and told, and is an error when asked for, as the gateway always is', () => {
  const told: string[] = [];
  const without = (name: string) => (of: string) => (of === name ? 'apt-get install it' : undefined);
  const start = (asked: readonly PeerName[] | undefined, absent: string): PeerName[] =>
    whoStarts(asked, (line) => told.push(line), without(absent));

  expect(start(undefined, 'nginx')).toEqual(PEER_NAMES.filter((name) => name !== 'nginx'));
  expect(told).toEqual(['nginx is left out: apt-get install it']);
  expect(start(['causeway', 'direct'], 'nginx')).toEqual(['direct', 'causeway']);
  expect(() => start(['direct', 'nginx'], 'nginx')).toThrow('nginx cannot take part: apt-get install it');
  expect(() => start(undefined, 'causeway')).toThrow('causeway cannot take part');
});
