// A gateway as a program before an upstream, for a group of tests: what is left over after all of them can be seen.
import { afterAll, beforeAll, beforeEach, onTestFailed } from 'vitest';
import { startLegacyServer, type LegacyServer } from '../../../support/legacy-server.ts';
import { gatewayArgs, gatewayUrl } from '../gateway-program.ts';
import { everything, listening } from '../legacy-peers.ts';
import { WatchedChild } from '../../../support/watched-child.ts';
import { scripted } from './scripted.ts';

interface Upstream {
  readonly port: number;
  stop(): Promise<void>;
}

export interface ModernPlace<U> {
  readonly upstream: U;
  readonly gateway: WatchedChild;
  /** Of the gateway. */
  readonly url: string;
}

/** The warm link that a gateway keeps by default. */
export const linksMin = 1;
/** Links beyond it go as soon as nothing needs them. */
const soonIdle = ['--links-idle-timeout', '300ms'];

export function scriptedPlace(protocolVersion: string): () => ModernPlace<LegacyServer> {
  return place(async () => {
    const server = await startLegacyServer(scripted(protocolVersion));
    return { it: server, port: Number(server.url.port), stop: () => server.close() };
  });
}

export function everythingPlace(): () => ModernPlace<WatchedChild> {
  return place(async () => {
    const child = new WatchedChild(everything());
    return { it: child, port: (await listening(child)).port, stop: () => child.stop() };
  });
}

function place<U>(start: () => Promise<Upstream & { readonly it: U }>): () => ModernPlace<U> {
  const stops: (() => Promise<void>)[] = [];
  let started: ModernPlace<U> | undefined;
  beforeAll(async () => {
    const upstream = await start();
    stops.push(() => upstream.stop());
    const gateway = new WatchedChild({ name: 'gateway', args: gatewayArgs(upstream.port, soonIdle) });
    stops.unshift(() => gateway.stop());
    started = { upstream: upstream.it, gateway, url: await gatewayUrl(gateway) };
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
  });
  beforeEach(() => {
    onTestFailed(() => console.error(`--- the gateway wrote, last part ---\n${started?.gateway.stderr.slice(-3_000)}`));
  });
  return () => {
    if (started === undefined) throw new Error('server and gateway were not started');
    return started;
  };
}

/** Rejects when it takes longer. */
export async function within<T>(promise: Promise<T>, what: string, ms = 10_000): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what}: not within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What is counted where nothing goes wrong. */
const usual = [
  'exchange.result',
  'exchange.error',
  'exchange.client_gone',
  'link_open',
  'link_closed.idle',
  'link_closed.retired',
  'link_closed.shutdown',
  'upstream_up',
  // Log messages of calls that named no level.
  'dropped.unroutable_notification',
  // What a client did not declare; and server-everything asks for the roots by itself, soon after a link has opened.
  'dropped.refused_question',
  // What was given up may still have gone on upstream.
  'dropped.late_answer',
  'dropped.late_progress',
  // A link that is idle by then may go while it is told that nobody listens any more.
  'dropped.undelivered_notification',
  // The SDK ends a listen in words, too.
  'dropped.sessionless_notification',
];

/** The names of what a gateway that has ended counted beside the usual and these. */
export function countedBeyond(expected: readonly string[], { stderr }: WatchedChild): readonly string[] {
  const line = stderr.split('\n').find((each) => each.includes('"msg":"counts"'));
  if (line === undefined) throw new Error(`no counts in ${stderr.slice(-500)}`);
  const { counts } = JSON.parse(line) as { readonly counts: Readonly<Record<string, number>> };
  return Object.keys(counts).filter((name) => !usual.includes(name) && !expected.includes(name));
}
