// Seals and opens the tokens that clients carry for us: session ids, where old clients post, and the state of a request
// that waits for answers. Authenticated encryption, so that nobody but us can make one or read one, and an owner inside,
// so that a replica can tell whose it is. A token that is forged, foreign or expired looks exactly like an unknown one: `open` says null and nothing more.

import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

interface Sealed {
  /** The replica that holds the link. */
  readonly owner: string;
  readonly mount: string;
  readonly principal: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

export interface SessionClaims extends Sealed {
  readonly kind: 'session';
  /** 128 random bits, base64url: what makes the token unguessable even to someone who knows everything else. */
  readonly nonce: string;
}

/** Where an upstream has told an old client to post. */
export interface EndpointClaims extends Sealed {
  readonly kind: 'endpoint';
  /** Which passage the client's stream is of: one that a reload has put in its place may lead to another server. */
  readonly passage: string;
  /** Which of the upstream's URLs the client's stream is of. */
  readonly url: number;
  /** Which of the origins that the configuration allows it. */
  readonly origin: number;
  /** Path and query, as the upstream has announced them. */
  readonly target: string;
}

/**
 * A call that is held for the client's answers.
 * [spec 2026-07-28 mrtr] "If `requestState` influences authorization, resource access, or business logic, servers MUST
 * protect its integrity (e.g. HMAC or AEAD) and MUST reject state that fails verification." Principal and expiry, which
 * it asks for too, are of every token. That it is used once is for whoever holds the call to see to.
 */
export interface RoundClaims extends Sealed {
  readonly kind: 'round';
  /** Which of the calls that the owner holds. */
  readonly held: string;
  /** How often the client was asked in this call, this time included. */
  readonly round: number;
  /** Of the request that was asked back, see canonical-digest.ts: a retry must be the same one. */
  readonly digest: string;
}

/** A call that is to be made once more, when the user has been to a URL. Nothing is held for it. */
export interface ReplayClaims extends Sealed {
  readonly kind: 'replay';
  readonly digest: string;
}

export type SealedClaims = SessionClaims | EndpointClaims | RoundClaims | ReplayClaims;

const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KID_BYTES = 4;
const HEAD_BYTES = 1 + KID_BYTES + IV_BYTES;

export class TokenSealer {
  readonly #key: Uint8Array;
  readonly #kid: Uint8Array;
  readonly #random: (length: number) => Uint8Array;

  /** `key` is 32 bytes; `random` gives cryptographic randomness. */
  constructor(key: Uint8Array, random: (length: number) => Uint8Array) {
    if (key.length !== 32) throw new RangeError('a sealing key has 32 bytes');
    this.#key = key;
    this.#kid = createHash('sha256').update(key).digest().subarray(0, KID_BYTES);
    this.#random = random;
  }

  seal(claims: SealedClaims): string {
    const iv = this.#random(IV_BYTES);
    const head = Buffer.concat([Buffer.of(VERSION), this.#kid, iv]);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(head.subarray(0, 1 + KID_BYTES));
    const sealed = Buffer.concat([cipher.update(JSON.stringify(claims), 'utf8'), cipher.final()]);
    return Buffer.concat([head, sealed, cipher.getAuthTag()]).toString('base64url');
  }

  /** The claims of a token of ours that has not expired, else null. */
  open(token: string, nowSeconds: number): SealedClaims | null {
    // Canonical text only: base64url has spare bits in its last character, and one token must have one spelling.
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.toString('base64url') !== token) return null;
    if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== VERSION) return null;
    if (!bytes.subarray(1, 1 + KID_BYTES).equals(this.#kid)) return null;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(1 + KID_BYTES, HEAD_BYTES))
        .setAAD(bytes.subarray(0, 1 + KID_BYTES))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES, -TAG_BYTES)), decipher.final()]);
      // Only we can have sealed it, so its shape is ours.
      const claims = JSON.parse(text.toString('utf8')) as SealedClaims;
      return claims.expiresAt > nowSeconds ? claims : null;
    } catch {
      return null;
    }
  }
}
