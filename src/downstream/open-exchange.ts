// From an HTTP request to an exchange: where its answer goes, what the client's leaving means, and what is logged.

import { isUtf8 } from 'node:buffer';
import type { FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify';
import { Exchange, type ExchangeEnd } from '../bridge/exchange.ts';
import type { Config } from '../config/schema.ts';
import { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Fact, Journal, Random, ReplySink } from '../domain/ports.ts';
import { clientAddress } from '../edge/client-address.ts';
import { whenTaken } from '../edge/taken.ts';
import type { Entrance } from '../identity/reception.ts';
import type { Principal } from '../domain/principal.ts';
import { requestsIn } from '../protocol/batch.ts';
import { accepted } from '../protocol/headers.ts';
import { type Request, bytesOf } from '../protocol/json-rpc.ts';
import { namedBy } from '../protocol/named.ts';
import type { Budgets } from '../traffic/budgets.ts';
import type { Mount } from '../traffic/mount.ts';
import type { Loss } from '../replica/directory.ts';
import type { Reception } from '../identity/reception.ts';
import type { SessionRegistry } from '../traffic/session-registry.ts';
import type { Session } from '../traffic/session.ts';
import type { Tally } from '../traffic/tally.ts';
import { JsonReply } from './json-reply.ts';
import { writeWatch } from './raw-reply.ts';
import { SseReply } from './sse-reply.ts';

export interface RouteDeps {
  readonly registry: Pick<
    SessionRegistry,
    'has' | 'sure' | 'find' | 'create' | 'end' | 'opened' | 'sought' | 'leaving'
  >;
  /** To what other replicas hold; null: everything is served here. */
  readonly hops: Hops | null;
  readonly reception: Reception;
  readonly journal: Journal;
  readonly random: Random;
  /** Who lets callers in at this moment: another one after a reload. */
  readonly entrance: (path: string) => Entrance | undefined;
  /** Replies that have not been taken to their end, over all mounts. */
  readonly inFlight: Tally;
  /** Bytes of requests that are being received, or not answered yet, over all mounts. */
  readonly received: Tally;
  /** Calls upstream at this moment, over all mounts. */
  readonly calls: () => number;
  /** `subscriptions/listen` that are open or wait for a link, over all mounts. */
  readonly listens: Tally;
  readonly budgets: Budgets;
  /** The caller makes so many calls; null, or why not. Where they were counted already it is null. */
  readonly spend: (caller: Principal, howMany: number) => ProxyError | null;
  /** No balancer should send anything here any more. */
  readonly isLeaving: () => boolean;
  /** There is none, or it can be used. */
  readonly isStoreUp: () => boolean;
  /** New requests are refused, or passed on to another replica. */
  readonly isDraining: () => boolean;
  /** Those of sessions that live here are served all the same, until another replica has them. */
  readonly isHandingOver: boolean;
  /** Of this moment, over all mounts. */
  readonly limits: () => Pick<Config['limits'], 'inFlight' | 'listens' | 'receivedBytes'>;
  /** The mount that has taken this one's place by now, or itself. */
  readonly current: (mount: Mount) => Mount;
  /** Those of this one's name: the one that serves, and those that finish what runs on them. */
  readonly ofName: (mount: Mount) => readonly Mount[];
}

/** One HTTP request to one mount. */
export interface Incoming {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly mount: Mount;
  readonly deps: RouteDeps;
}

/** Who holds what a request is about. */
export interface Elsewhere {
  /** Null: nobody can be asked, and what is to be made of that. */
  readonly address: string | null;
  readonly how?: Loss;
  readonly owner: string;
  /** Null: it is about something that ends with its owner. */
  readonly sessionId: string | null;
  /** It does not hold it yet: it is to serve in our place. */
  readonly isSuccessor: boolean;
}

/** A request that is passed on. */
export interface Hop {
  readonly incoming: Incoming;
  readonly to: Elsewhere;
  /** Where it goes: path and query. */
  readonly target: string;
  /** Null: it has none. */
  readonly body: Buffer | null;
  /** Serves it here after all: what is not known here either is refused as ever. */
  readonly here: () => void;
}

/** See OwnerHops. */
export interface Hops {
  ofSession(sessionId: string, mount: Mount, principal: Principal): Elsewhere | null;
  ofState(state: string, mount: Mount, principal: Principal): Elsewhere | null;
  ofStream(token: string, mount: Mount, principal: Principal): Elsewhere | null;
  /**
   * Who serves in our place while we drain; null: nobody is known to. `sessionId`: of a session that was handed over, and that
   * whoever is asked for it takes.
   */
  successor(sessionId: string | null): Elsewhere | null;
  pass(hop: Hop): void;
}

/** A session that may be another replica's by now is served, or passed on, when that is known. */
export function whenSure({ registry }: RouteDeps): preHandlerHookHandler {
  return (request, reply, next) => {
    const { 'mcp-session-id': id } = request.headers;
    const inDoubt = typeof id === 'string' ? registry.sure(id) : null;
    if (inDoubt === null) next();
    else
      void inDoubt.then(() => {
        if (!reply.raw.destroyed) next();
      });
  };
}

/** For a request that has been where it was thought to belong, or comes from there: it is served here, and costs nothing more. */
export function servedHere(deps: RouteDeps): RouteDeps {
  return { ...deps, hops: null, spend: () => null };
}

/**
 * Why a body cannot be passed on; null: it can. What lets something end is never refused, and costs nothing: for that
 * alone is it looked at.
 */
export function hopRefusal(body: Buffer, caller: Principal, { mount, deps }: Incoming): ProxyError | null {
  if (!deps.budgets.boundsCalls(caller) && !isFull(deps)) return null;
  const howMany = requestsOf(body, mount);
  if (howMany === 0) return null;
  return isFull(deps, howMany) ? inFlightLimit() : deps.spend(caller, howMany);
}

/** How many requests stand in a body. */
export function requestsOf(body: Buffer, { config }: Mount): number {
  const { jsonDepth: maxDepth, batch: maxMessages } = config.limits;
  return isUtf8(body) ? requestsIn(body, { maxDepth, maxMessages }) : 1;
}

/** Replies that are not taken yet count, and so do calls whose client has left: both hold what they hold. */
export function isFull(deps: RouteDeps, more = 1): boolean {
  return Math.max(deps.inFlight.count, deps.calls()) + more > deps.limits().inFlight;
}

export function inFlightLimit(): ProxyError {
  return overLimit('in_flight_limit', 'limits.inFlight', 'too many requests are in flight', {
    outcome: 'not_executed',
  });
}

export function draining(): ProxyError {
  return new ProxyError('draining', 'the gateway is shutting down', { outcome: 'not_executed' });
}

/** Somebody waits for so many replies of the mount, until what is returned is called. */
export function waitedFor(mount: Mount, deps: RouteDeps, howMany = 1): () => void {
  deps.inFlight.begin(howMany);
  mount.unfinished.begin(howMany);
  return () => {
    deps.inFlight.end(howMany);
    mount.unfinished.end(howMany);
  };
}

export interface Opening {
  /** What it answers; a number where nobody has to know which. */
  readonly requests?: number | readonly Request[];
  readonly isOfWhatRuns?: boolean;
}

export interface OpenReply {
  readonly sink: ReplySink;
  /** Who waits for it: told once, when the client has left in a way that it cannot come back from. */
  owner: Pick<Exchange, 'clientGone'> | null;
}

/**
 * From here on the reply is ours: it will be written exactly once, by the raw response. `session`: the reply may become
 * one of its streams. `isOfWhatRuns`: a call that waits goes on with it. Throws a ProxyError, with nothing begun.
 */
export function openReply(
  { request, reply, mount, deps }: Incoming,
  session: Session | null,
  { requests = 1, isOfWhatRuns = false }: Opening = {},
): OpenReply {
  const howMany = typeof requests === 'number' ? requests : requests.length;
  // Looked at again: many requests can have sent their headers before the first of them was counted.
  if (isFull(deps, howMany)) throw inFlightLimit();
  const isServed = isOfWhatRuns || (session !== null && deps.isHandingOver);
  if (deps.isDraining() && !isServed) throw draining();
  reply.hijack();
  const response = reply.raw;
  const { json, stream } = accepted(request.headers.accept);
  const watch = writeWatch(mount);
  const events = stream ? new SseReply(response, watch, !json) : null;
  const resumable = events === null ? null : (session?.reply(events, () => idsOf(requests)) ?? null);
  const open: OpenReply = { sink: resumable ?? events ?? new JsonReply(response, watch), owner: null };
  const taken = waitedFor(mount, deps, howMany);
  response.on('close', () => {
    if (resumable === null || resumable.connectionClosed()) open.owner?.clientGone();
    whenTaken(request.raw.socket, taken);
  });
  // A socket that breaks while it is written to says so by `close`.
  response.on('error', () => {});
  return open;
}

/** As their clients have written them. */
function idsOf(requests: number | readonly Request[]): readonly string[] {
  return typeof requests === 'number' ? [] : requests.map(({ bytes, id }) => utf8.decode(bytesOf(bytes, id)));
}

const utf8 = new TextDecoder();

export interface ExchangeTimes {
  /** See ExchangeOptions. */
  readonly heartbeatMs: number | null;
  readonly firstBeatMs?: number;
}

/** `session`: null for a request without one. */
export function exchangeTimes(
  { mount, deps }: Incoming,
  session: Session | null,
): ExchangeTimes & { readonly heartbeatMs: number } {
  const heartbeatMs = mount.config.heartbeat * (0.8 + 0.4 * deps.random.fraction());
  return session?.primes === true
    ? { heartbeatMs, firstBeatMs: Math.min(heartbeatMs, mount.config.streams.primeAfter) }
    : { heartbeatMs };
}

/** How the client is served, and what it speaks, as far as it says so. */
export interface Speaker {
  readonly mode: 'session' | 'sessionless' | 'modern';
  readonly revision: string;
}

export function openExchange(
  message: Request,
  sink: ReplySink,
  speaker: Speaker,
  times: ExchangeTimes,
  { request, mount, deps }: Incoming,
): Exchange {
  // Now: when it ends its socket may be gone.
  const client = clientAddress(request);
  return new Exchange({
    id: bytesOf(message.bytes, message.id),
    sink,
    clock: mount.clock,
    timers: mount.timers,
    ...times,
    upstream: mount.name,
    onEnd: (end) => deps.journal.record(factOf(end, message, speaker, mount, client)),
  });
}

/** As in the end itself: one object of one shape for each call. */
function factOf(
  end: ExchangeEnd,
  message: Request,
  { mode, revision }: Speaker,
  { name: upstream }: Mount,
  client: string | undefined,
): Fact {
  return {
    fact: 'exchange',
    upstream,
    mode,
    revision,
    method: message.method.slice(0, 64),
    name: namedBy(message) ?? undefined,
    client,
    outcome: end.outcome,
    streamed: end.streamed,
    status: end.status,
    durationMs: end.durationMs,
    waitMs: end.waitMs,
    firstByteMs: end.firstByteMs,
    reason: end.reason,
    why: end.why,
    limit: end.limit,
    upstreamStatus: end.upstreamStatus,
    cause: end.cause,
  };
}
