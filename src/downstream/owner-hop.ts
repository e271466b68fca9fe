// A request about something that another replica holds, passed on to that one: its session, a call that waits for answers,
// the stream of an old client. One hop at most: what comes over the listener for replicas is served there or nowhere.
//
// undici as it is, not @fastify/reply-from: that one cannot end a request whose client leaves before there are headers, and
// a session's owner has to hear of it as if the client had left him.

import type { FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import { asProxyError } from '../domain/errors.ts';
import type { Journal, Random } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { clientAddress } from '../edge/client-address.ts';
import { whenTaken } from '../edge/taken.ts';
import { HOP_HEADER, type HopOptions, sealHop } from '../protocol/hop-header.ts';
import type { SealedClaims } from '../protocol/sealed-token.ts';
import type { Directory, Loss, Whereabouts } from '../replica/directory.ts';
import type { Greetings } from '../replica/greetings.ts';
import type { OwnerWatch } from '../replica/owner-watch.ts';
import type { Peers } from '../replica/peers.ts';
import type { Mount } from '../traffic/mount.ts';
import { callerOf, principalOf } from './caller.ts';
import { refuse } from './error-reply.ts';
import { HopAnswer, type HopEnd, requestIdOf } from './hop-answer.ts';
import { type Elsewhere, type Hop, type Hops, draining, waitedFor } from './open-exchange.ts';

export interface OwnerHopsOptions extends HopOptions {
  readonly directory: Directory;
  readonly peers: Pick<Peers, 'find'>;
  readonly greetings: Pick<Greetings, 'up'>;
  /** Null: nobody knows more of an owner than whether it answers. */
  readonly watch: Pick<OwnerWatch, 'begin' | 'isSilent'> | null;
  readonly random: Random;
  /** Null: there are none. */
  readonly agent: Dispatcher | null;
  readonly journal: Journal;
}

interface Begun extends Hop {
  /** The client's address. */
  readonly client: string | undefined;
  /** It is in flight no more, as far as this is concerned. */
  readonly giveBack: () => void;
}

/** A session can be taken over while the first hop is under way, and then there is a second one. */
const MAX_HOPS = 3;
/** Beyond all that the owner itself waits for. */
const SLACK_MS = 5000;

/** What of a client's headers its owner is to see, beside those of MCP and those that go upstream. */
const HEADERS = new Set(['accept', 'content-type', 'content-encoding', 'last-event-id', 'user-agent']);

type There = Elsewhere & { readonly address: string };

export class OwnerHops implements Hops {
  readonly #options: OwnerHopsOptions;
  readonly #open = new Set<HopAnswer>();

  constructor(options: OwnerHopsOptions) {
    this.#options = options;
  }

  /** Which other replica holds the session of this id; null: none, as far as this caller is concerned. */
  ofSession(sessionId: string, mount: Mount, principal: Principal): Elsewhere | null {
    return this.#of('session', sessionId, mount, principal);
  }

  /** The same for a call that waits for its client to come back. */
  ofState(state: string, mount: Mount, principal: Principal): Elsewhere | null {
    return this.#of('state', state, mount, principal);
  }

  /** The same for the stream of an old client. */
  ofStream(token: string, mount: Mount, principal: Principal): Elsewhere | null {
    return this.#of('endpoint', token, mount, principal);
  }

  successor(sessionId: string | null, tried: readonly string[] = []): Elsewhere | null {
    const { greetings, random } = this.#options;
    const left = greetings.up.filter(({ owner }) => !tried.includes(owner));
    const one = left[Math.floor(random.fraction() * left.length)];
    return one === undefined ? null : { ...one, sessionId, isSuccessor: true };
  }

  pass(hop: Hop): void {
    const { reply, request, mount, deps } = hop.incoming;
    let taken = request.method === 'POST' ? waitedFor(mount, deps) : null;
    const giveBack = (): void => {
      taken?.();
      taken = null;
    };
    reply.raw.on('close', () => whenTaken(request.raw.socket, giveBack));
    // A socket that breaks while it is written to says so by `close`.
    reply.raw.on('error', () => {});
    // Now: when it ends its socket may be gone.
    const client = clientAddress(request);
    this.#try({ ...hop, client, giveBack }, hop.to, []).catch((thrown: unknown) => {
      if (reply.sent || reply.raw.destroyed) return;
      void refuse(reply, deps.journal, asProxyError(thrown), requestIdOf(hop));
    });
  }

  /** What is still passed on ends: streams between two events, for their clients to come back; the rest with an error. */
  endAll(): void {
    for (const answer of this.#open) answer.end(draining());
  }

  #of(purpose: 'session' | 'state' | 'endpoint', token: string, mount: Mount, principal: Principal): Elsewhere | null {
    const { sealer, wallSeconds, directory, watch } = this.#options;
    const now = wallSeconds();
    const claims: SealedClaims | null =
      purpose === 'session' ? sealer.openSession(token, now) : sealer.open(purpose, token, now);
    // A state without a call that waits is good everywhere.
    if (claims === null || claims.kind === 'replay') return null;
    if (claims.mount !== mount.name || claims.principal !== principal.key) return null;
    const found = directory.ownerOf(claims, token);
    const isSilent = found.at === 'peer' && watch?.isSilent(found.owner) === true;
    const where: Whereabouts = isSilent ? { at: 'kept', owner: found.owner, how: 'silent' } : found;
    if (where.at === 'kept' && purpose === 'session') {
      return { address: null, owner: where.owner, how: where.how, sessionId: token, isSuccessor: false };
    }
    if (where.at !== 'peer') return null;
    const { address, owner } = where;
    return { address, owner, sessionId: purpose === 'session' ? token : null, isSuccessor: false };
  }

  async #try(hop: Begun, to: Elsewhere, before: readonly string[]): Promise<void> {
    const { reply } = hop.incoming;
    const end = await this.#end(hop, to);
    if (end === null || reply.raw.destroyed) return;
    const tried = [...before, to.owner];
    const isForSuccessor = to.isSuccessor || (to.sessionId !== null && hop.incoming.deps.isDraining());
    const next = isForSuccessor ? this.successor(to.sessionId, tried) : await this.#nextOwner(hop, to, end);
    if (reply.raw.destroyed) return;
    if (next !== null && tried.length < MAX_HOPS) {
      await this.#try(hop, next, tried);
      return;
    }
    hop.giveBack();
    // Taken back, it would have to be handed over once more.
    if (isForSuccessor && hop.incoming.deps.isHandingOver) {
      void refuse(reply, hop.incoming.deps.journal, draining(), requestIdOf(hop));
    } else {
      hop.here();
    }
  }

  async #nextOwner({ incoming }: Hop, { sessionId, owner: lost }: Elsewhere, how: Loss): Promise<Elsewhere | null> {
    if (sessionId === null) return null;
    const { mount, request, deps } = incoming;
    const sought = deps.registry.sought(sessionId, mount, callerOf(request, mount));
    const where = await this.#options.directory.lost(sought, lost, how);
    if (where.at !== 'peer') return null;
    const { address, owner } = where;
    return { address, owner, sessionId, isSuccessor: false };
  }

  /** Null: the client has what there is to have, or has left; else nothing was said to it yet. */
  async #end(hop: Begun, to: Elsewhere): Promise<Loss | null> {
    const { address } = to;
    if (address === null) return to.how ?? 'gone';
    const found = this.#options.peers.find(address);
    const origin = found instanceof Promise ? await found : found;
    if (hop.incoming.reply.raw.destroyed) return null;
    const there = { ...to, address };
    if (origin !== null) return this.#ask(hop, there, origin);
    this.#told(hop, there, { outcome: 'gone' }, 0);
    // Of one that has just come we may not have been told yet: whether it lives the store knows.
    return 'unreachable';
  }

  async #ask(hop: Begun, to: There, origin: string): Promise<Loss | null> {
    const { mount, request } = hop.incoming;
    const isPost = methodOf(request) === 'POST';
    const startedAt = mount.clock.now();
    // A connection that was kept can end at the moment it is used again. What has no effect, or one that it has once, is
    // asked for a second time.
    let end = await this.#dispatch(hop, to, origin, !isPost);
    if (end.outcome === 'again') end = await this.#dispatch(hop, to, origin, false);
    return this.#told(hop, to, end, mount.clock.now() - startedAt);
  }

  #told(hop: Begun, to: There, { outcome: how, cause }: HopEnd, ms: number): Loss | null {
    const { mount, request } = hop.incoming;
    // It cannot be that a second time.
    const outcome = how === 'again' ? 'lost' : how;
    this.#options.journal.record({
      fact: 'hop',
      upstream: mount.name,
      method: methodOf(request),
      peer: to.address,
      client: hop.client,
      outcome,
      durationMs: Math.round(ms * 1000) / 1000,
      ...(cause !== undefined && { cause }),
    });
    if (outcome === 'unreachable') return nobodyListens(cause) ? 'closed' : 'unreachable';
    return outcome === 'gone' || outcome === 'unknown' || outcome === 'silent' ? outcome : null;
  }

  #dispatch(hop: Begun, to: Elsewhere, origin: string, mayAskAgain: boolean): Promise<HopEnd> {
    const { body, target, incoming } = hop;
    const { timeouts } = incoming.mount.config;
    const method = methodOf(incoming.request);
    const { agent, watch } = this.#options;
    return new Promise((resolve) => {
      const answer = new HopAnswer(hop, mayAskAgain, (end) => {
        this.#open.delete(answer);
        unwatch?.();
        resolve(end);
      });
      const unwatch = watch?.begin(to.owner, () => answer.ownerSilent());
      this.#open.add(answer);
      agent?.dispatch(
        {
          origin,
          path: target,
          method,
          headers: this.#headers(hop, to),
          ...(body !== null && { body }),
          headersTimeout: (method === 'POST' ? timeouts.requestMax : timeouts.headers) + SLACK_MS,
          bodyTimeout: 0,
        },
        answer,
      );
    });
  }

  /** In pairs, so that what came twice goes on twice. */
  #headers({ client, incoming: { request, mount } }: Begun, { owner, sessionId, isSuccessor }: Elsewhere): string[] {
    const takesOver = isSuccessor && sessionId !== null;
    const claims = { owner, mount: mount.name, principal: principalOf(request), takesOver };
    const headers = [HOP_HEADER, sealHop(this.#options, claims)];
    if (client !== undefined) headers.push('x-forwarded-for', client);
    const { rawHeaders } = request.raw;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? '').toLowerCase();
      const isOurs = HEADERS.has(name) || name.startsWith('mcp-') || mount.forwarding?.names.includes(name) === true;
      if (isOurs) headers.push(name, rawHeaders[at + 1] ?? '');
    }
    return headers;
  }
}

function methodOf({ method }: FastifyRequest): 'GET' | 'POST' | 'DELETE' {
  // Of the routes that pass requests on there are no others.
  return method as 'GET' | 'POST' | 'DELETE';
}

/** Its machine is there and has no such process: there is no doubt that it is gone. */
function nobodyListens(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED';
}
