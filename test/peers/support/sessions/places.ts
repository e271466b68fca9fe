// What the session tests have in common: a gateway before one of the two servers, calls that last until they are released, and
// how results are read.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFailed } from 'vitest';
import { z } from 'zod';
import { Child } from '../../../support/child.ts';
import { type Replicas, startReplicas } from '../../../support/replica-processes.ts';
import { gatewayArgs, gatewayUrl } from '../gateway-program.ts';
import { startGateway } from '../gateway.ts';
import { listening, type LegacyPeer } from '../legacy-peers.ts';
import { WatchedChild, type ChildOptions } from '../../../support/watched-child.ts';
import type { Answering, CallOptions, SessionClient } from './client.ts';

export interface Place {
  readonly server: LegacyPeer;
  /** Of the gateway. */
  readonly url: string;
}

/** One gateway with these flags before one server for a whole group of tests, each of which opens sessions of its own. */
export function place(server: () => ChildOptions, ...flags: readonly string[]): () => Place {
  const children: WatchedChild[] = [];
  const start = (options: ChildOptions): WatchedChild => {
    const child = new WatchedChild(options);
    children.push(child);
    return child;
  };
  let started: Place | undefined;
  beforeAll(async () => {
    const peer = await listening(start(server()));
    const gateway = start({ name: 'gateway', args: gatewayArgs(peer.port, flags, peer.host) });
    started = { server: peer, url: await gatewayUrl(gateway) };
  });
  afterAll(async () => {
    await Promise.all(children.map((child) => child.stop()));
  });
  return () => {
    if (started === undefined) throw new Error('server and gateway were not started');
    onTestFailed(() => {
      for (const { name, stderr } of children)
        console.error(`--- ${name} wrote to stderr, last part ---\n${stderr.slice(-3_000)}`);
    });
    return started;
  };
}

export type PlaceOf = (server: () => ChildOptions) => () => Place;

/** The same, but three replicas of the gateway behind nginx, which sends each request to another one. */
export function replicatedPlace(server: () => ChildOptions): () => Place & { readonly replicas: Replicas } {
  const stops: (() => Promise<void>)[] = [];
  let started: (Place & { readonly replicas: Replicas }) | undefined;
  beforeAll(async () => {
    const child = new WatchedChild(server());
    stops.push(() => child.stop());
    const peer = await listening(child);
    const replicas = await startReplicas({ upstream: new URL(`http://${peer.host}:${peer.port}/sse`) });
    stops.unshift(() => replicas.stop());
    started = { server: peer, url: replicas.front.endpoint, replicas };
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
  });
  return () => {
    if (started === undefined) throw new Error('server and replicas were not started');
    const { replicas } = started;
    onTestFailed(() => console.error(replicas.logs()));
    return started;
  };
}

/** A gateway with these flags before a server, for one test. */
export async function ownPlace(server: () => ChildOptions, ...flags: readonly string[]): Promise<Place> {
  const peer = await listening(new Child(server()));
  const { url } = await startGateway(peer.port, ...flags);
  return { server: peer, url };
}

/** A model that repeats what it is asked. */
export const parrot: Answering = ({ messages }) => ({
  role: 'assistant',
  model: 'parrot',
  content: { type: 'text', text: `Echo of ${JSON.stringify(messages)}` },
});

export const withModel = { capabilities: { sampling: {} }, answers: { 'sampling/createMessage': parrot } };

export interface LastingCall {
  readonly call: Promise<unknown>;
  readonly name: string;
  /** Where its stream is: with this the call can be resumed. */
  readonly token: string;
}

/** A call that runs upstream until it is released, and whose reply is a stream already. */
export async function lastingCall(
  client: SessionClient,
  server: LegacyPeer,
  options: CallOptions = {},
): Promise<LastingCall> {
  const name = randomUUID();
  const primed = Promise.withResolvers<string>();
  const call = client.call('test_wait', { name }, { ...options, onresumptiontoken: primed.resolve });
  await Promise.race([call, Promise.all([runs(server, name), primed.promise])]);
  return { call, name, token: await primed.promise };
}

/** Resolves once the server works on the call of test_wait with that name. */
export async function runs({ child }: LegacyPeer, name: string): Promise<void> {
  await child.printed(({ stdout }) => stdout.includes(`waiting ${name}\n`) || undefined, `call ${name}`);
}

/** Resolves once the server has been told that the call with that name is cancelled, and why. */
export async function isCancelled({ child }: LegacyPeer, name: string, reason: string): Promise<void> {
  const line = `cancelled ${name}: ${reason}\n`;
  await child.printed(({ stdout }) => stdout.includes(line) || undefined, `word that call ${name} is cancelled`);
}

/** A lasting call that its client has aborted. */
export async function abortedCall(
  client: SessionClient,
  server: LegacyPeer,
  reason: string,
): Promise<Omit<LastingCall, 'call'>> {
  const abort = new AbortController();
  const { call, name, token } = await lastingCall(client, server, { signal: abort.signal });
  const aborted = expect(call).rejects.toThrow(reason);
  abort.abort(reason);
  await aborted;
  return { name, token };
}

interface Caller {
  call(name: string, args: object): Promise<unknown>;
}

/** Ends a lasting call, whoever made it, or only makes it report progress. */
export async function release(by: Caller, name: string, how: object = {}): Promise<void> {
  expect(textOf(await by.call('test_release', { name, ...how }))).toBe('Done.');
}

/** Makes the server tell all its clients. */
export async function announce(by: Caller, method: string, params: object = {}): Promise<void> {
  expect(textOf(await by.call('test_announce', { method, params }))).toBe('Done.');
}

const toolResult = z.object({ content: z.tuple([z.object({ text: z.string() })], z.unknown()) });

/** The first text in the result of a tool. */
export function textOf(result: unknown): string {
  return toolResult.parse(result).content[0].text;
}
