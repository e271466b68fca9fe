// How the other replicas are: each is asked at the start, and every ten seconds after that. It tells of clocks that are
// apart and of secrets that differ before a client suffers from them; whether one can be reached a hop finds out by itself.

import { type Dispatcher, request } from 'undici';
import { ConfigError } from '../config/load.ts';
import { readOwner } from '../domain/owner.ts';
import type { Clock, Journal, Random, Timer, Timers } from '../domain/ports.ts';
import type { PeerGauge, PeerState } from '../domain/replicas.ts';
import { HELLO_PATH, HOP_HEADER, type HopOptions, readHello, sealGreeting } from '../protocol/hop-header.ts';
import type { Peers } from './peers.ts';

export interface GreetingsOptions extends HopOptions {
  readonly peers: Pick<Peers, 'all' | 'find'>;
  readonly agent: Dispatcher;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

interface Seen {
  readonly state: PeerState;
  /** Which life of the process there; null: it did not say. */
  readonly owner: string | null;
  readonly version: string | null;
  readonly clockMs: number | null;
  readonly cause?: unknown;
}

const EVERY_MS = 10_000;
/** Replicas that start together do not hear each other at once. */
const SOON_MS = 1000;
const SOON_ROUNDS = 10;
const ANSWER_MS = 2000;
/** For one that is thought to be gone. */
const SIGN_MS = 1000;
/** A hop is good for ten seconds; half of that is left for clocks. */
const APART_MS = 4000;
/** Of an answer. */
const MAX_BYTES = 4096;

const REMEDIES: Partial<Readonly<Record<PeerState, string>>> = {
  apart: 'set the clocks of the machines by NTP',
  refusing: 'give all replicas the same secrets.current, and while it is renewed secrets.previous',
};

export class Greetings {
  readonly #options: GreetingsOptions;
  #seen = new Map<string, Seen>();
  #timer: Timer | null = null;
  #isClosed = false;
  #rounds = 0;
  #greeting: Promise<void> | null = null;

  constructor(options: GreetingsOptions) {
    this.#options = options;
  }

  /**
   * Rejects with a ConfigError where every other replica that answers has another time than this one, or where one of them
   * has its address.
   */
  async start(): Promise<void> {
    await this.again();
    this.#refuseSharedSelf();
    const answered = [...this.#seen.values()].filter(({ clockMs }) => clockMs !== null);
    if (answered.length > 0 && answered.every(({ state }) => state === 'apart')) {
      const ahead = Math.round((answered[0]?.clockMs ?? 0) / 1000);
      throw new ConfigError(
        `peers: the clock of this machine and those of all other replicas are apart, by ${Math.abs(ahead)} s: ${REMEDIES.apart}`,
      );
    }
    this.#later();
  }

  /** Those that serve, by what they said last: HOST:PORT of each, and which life of the process that is. */
  get up(): readonly { readonly address: string; readonly owner: string }[] {
    return this.#options.peers.all.flatMap((address) => {
      const { state, owner = null } = this.#seen.get(address) ?? {};
      return state === 'up' && owner !== null ? [{ address, owner }] : [];
    });
  }

  get seen(): readonly PeerGauge[] {
    return this.#options.peers.all.map((peer) => {
      const { state = null, version = null, clockMs = null } = this.#seen.get(peer) ?? {};
      return { peer, state, version, clockMs };
    });
  }

  /** Asks now; with those who ask already. Never rejects. */
  again(): Promise<void> {
    this.#rounds++;
    this.#greeting ??= this.#greetAll().finally(() => {
      this.#greeting = null;
    });
    return this.#greeting;
  }

  /** Whether anybody answers there now, whatever he says. Never rejects. */
  answers(peer: string): Promise<boolean> {
    return this.#greet(peer, SIGN_MS).then(
      () => true,
      () => false,
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** What either holds would be looked for at the other one, and be unknown there. */
  #refuseSharedSelf(): void {
    const { owner: own } = this.#options;
    const { address } = readOwner(own);
    for (const [peer, { state, owner }] of this.#seen) {
      if (state !== 'up' || owner === null || owner === own || readOwner(owner).address !== address) continue;
      throw new ConfigError(
        `peers.self: the replica at ${peer} says that it is reached at ${address}, as this one does: give each its own address`,
      );
    }
  }

  #later(): void {
    if (this.#isClosed) return;
    const isAway = [...this.#seen.values()].some(({ state }) => state === 'unreachable');
    const soon = isAway && this.#rounds < SOON_ROUNDS;
    this.#timer = this.#options.timers.after(soon ? SOON_MS : EVERY_MS, () => {
      void this.again().then(() => this.#later());
    });
  }

  async #greetAll(): Promise<void> {
    const { peers, journal } = this.#options;
    const found = await Promise.all(
      peers.all.map(async (peer) => {
        const seen = await this.#greet(peer).catch((cause: unknown): Seen => {
          return { state: 'unreachable', owner: null, version: null, clockMs: null, cause };
        });
        return [peer, seen] as const;
      }),
    );
    if (this.#isClosed) return;
    const before = this.#seen;
    this.#seen = new Map(found);
    for (const [peer, { state, clockMs, cause }] of found) {
      if (before.get(peer)?.state === state) continue;
      const remedy = REMEDIES[state];
      journal.record({
        fact: 'peer',
        peer,
        state,
        ...(clockMs !== null && { clockMs }),
        ...(remedy !== undefined && { remedy }),
        ...(cause !== undefined && { cause }),
      });
    }
  }

  async #greet(peer: string, answerMs = ANSWER_MS): Promise<Seen> {
    const { peers, agent, random, wallMs } = this.#options;
    const origin = await peers.find(peer);
    if (origin === null) throw new Error('no replica of ours');
    const nonce = Buffer.from(random.bytes(16)).toString('base64url');
    const askedAt = wallMs();
    const { statusCode, body } = await request(origin + HELLO_PATH, {
      dispatcher: agent,
      headers: { [HOP_HEADER]: sealGreeting(this.#options, nonce) },
      signal: AbortSignal.timeout(answerMs),
    });
    const text = await textOf(body);
    const hello = statusCode === 200 ? readHello(this.#options, text, nonce) : null;
    if (hello === null) return { state: 'refusing', owner: null, version: null, clockMs: null };
    const clockMs = Math.round(hello.wallMs - (askedAt + wallMs()) / 2);
    const { version, owner, isDraining } = hello;
    const state = Math.abs(clockMs) > APART_MS ? 'apart' : isDraining ? 'draining' : 'up';
    return { state, owner, version, clockMs };
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const piece of body) {
    text += piece.toString('latin1');
    if (text.length > MAX_BYTES) break;
  }
  return text;
}
