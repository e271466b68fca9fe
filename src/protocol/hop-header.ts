// What stands in the header of a request that one replica passes on to another: sealed, for one owner, for one request, for
// ten seconds. Whoever has our secrets can make one, and nobody else; a copy of one opens nothing a second time.

import { readOwner } from '../domain/owner.ts';
import type { Principal } from '../domain/principal.ts';
import type { HelloClaims, HopClaims, TokenSealer } from './sealed-token.ts';

export const HOP_HEADER = 'causeway-hop';
/** In answers of the listener for replicas: why what was asked for is not to be had there. */
export const OWNER_HEADER = 'causeway-owner';
/** Where replicas ask each other how they are. */
export const HELLO_PATH = '/hello';

/** `gone`: the process that is meant is no more; `unknown`: it is here, and has nothing of that. */
export type OwnerAnswer = 'gone' | 'unknown' | 'refused';

/** Why a request is not taken: `crowded` is for more of them at once than can be remembered. */
export type HopRefusal = 'absent' | 'forged' | 'expired' | 'replayed' | 'not_meant' | 'crowded';

const HOP_SECONDS = 10;
/** So far may the clock of the one that has sealed it be ahead of ours. */
const AHEAD_SECONDS = 5;
const KEPT_SECONDS = HOP_SECONDS + AHEAD_SECONDS + 1;
/** Of those that are remembered; it takes twice as many requests as one process can serve in that time. */
const MAX_TAKEN = 500_000;
/** Of the text of a token: its tag, which no two of them have in common. */
const TAG_CHARACTERS = 22;

export interface HopOptions {
  readonly sealer: TokenSealer;
  /** This replica. */
  readonly owner: string;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
}

interface Meant {
  readonly owner: string;
  readonly mount: string;
  readonly principal: Principal;
  /** See HopClaims. */
  readonly takesOver?: boolean;
}

/** The text for a request of this caller to this mount; another one each time. */
export function sealHop(
  { sealer, owner: from, wallSeconds }: HopOptions,
  { owner, mount, principal, takesOver = false }: Meant,
): string {
  const { key, proof, inboundKey } = principal;
  return sealer.seal({
    kind: 'hop',
    owner,
    from,
    mount,
    principal: key,
    proof,
    ...(inboundKey !== undefined && { inboundKey }),
    ...(takesOver && { takesOver: true as const }),
    expiresAt: wallSeconds() + HOP_SECONDS,
  });
}

export function callerIn({ principal: key, proof, inboundKey }: HopClaims): Principal {
  return { key, proof, ...(inboundKey !== undefined && { inboundKey }) };
}

/** Reads what others have sealed, each once. */
export class HopReader {
  readonly #options: HopOptions;
  readonly #self: ReturnType<typeof readOwner>;
  readonly #maxTaken: number;
  /** Those of now, and those of before: each is kept for KEPT_SECONDS at least. */
  #young = new Set<string>();
  #old = new Set<string>();
  #turnedAt = 0;

  constructor(options: HopOptions, maxTaken = MAX_TAKEN) {
    this.#options = options;
    this.#maxTaken = maxTaken;
    this.#self = readOwner(options.owner);
  }

  /** `gone`: sealed for a process that was at our address before us. */
  read(texts: readonly string[]): HopClaims | HopRefusal | 'gone' {
    const { sealer, wallSeconds } = this.#options;
    const [text] = texts;
    if (texts.length !== 1 || text === undefined) return 'absent';
    // Whatever its time: of one that could be opened it can be said what else is wrong with it.
    const claims = sealer.open('hop', text, 0);
    if (claims?.kind !== 'hop') return 'forged';
    const now = wallSeconds();
    if (claims.expiresAt <= now || claims.expiresAt > now + HOP_SECONDS + AHEAD_SECONDS) return 'expired';
    const meant = readOwner(claims.owner);
    if (meant.address !== this.#self.address) return 'not_meant';
    if (meant.incarnation !== this.#self.incarnation) return 'gone';
    return this.#take(text.slice(-TAG_CHARACTERS), now) ?? claims;
  }

  #take(tag: string, now: number): HopRefusal | null {
    // The clock was set back: nothing is forgotten for that, and what comes is not kept until it is that late again.
    if (now < this.#turnedAt) this.#turnedAt = now;
    if (now - this.#turnedAt >= KEPT_SECONDS) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#turnedAt = now;
    }
    if (this.#young.has(tag) || this.#old.has(tag)) return 'replayed';
    if (this.#young.size >= this.#maxTaken) return 'crowded';
    this.#young.add(tag);
    return null;
  }
}

/** A question for how another replica is. `nonce`: the answer must name it. */
export function sealGreeting({ sealer, owner, wallSeconds }: HopOptions, nonce: string): string {
  const expiresAt = wallSeconds() + HOP_SECONDS;
  return sealer.seal({ kind: 'greeting', owner, mount: '', principal: '', nonce, expiresAt });
}

/**
 * The answer to a greeting; null where it is none of ours. Whenever it was sealed: an answer is of use to those alone who
 * can open it, and clocks that are apart are what they want to know of.
 */
export function answerGreeting(
  { sealer, owner, wallSeconds }: HopOptions,
  texts: readonly string[],
  how: Pick<HelloClaims, 'version' | 'wallMs' | 'isDraining'>,
): string | null {
  const claims = texts.length === 1 ? sealer.open('hop', texts[0] ?? '', 0) : null;
  if (claims?.kind !== 'greeting') return null;
  const { nonce } = claims;
  const expiresAt = wallSeconds() + HOP_SECONDS;
  return sealer.seal({ kind: 'hello', owner, mount: '', principal: '', nonce, expiresAt, ...how });
}

export function readHello({ sealer }: HopOptions, text: string, nonce: string): HelloClaims | null {
  const claims = sealer.open('hop', text, 0);
  return claims?.kind === 'hello' && claims.nonce === nonce ? claims : null;
}
