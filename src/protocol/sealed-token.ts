// Seals and opens the tokens that clients carry for us: session ids, where old clients post, and the state of a request
// that waits for answers; and what replicas say to each other. Authenticated encryption, so that nobody but us can make one or read one, and an owner inside,
// so that a replica can tell whose it is. Each purpose has keys of its own, made from the same secrets: no token of one
// kind opens as another. A token that is forged, foreign or expired looks exactly like an unknown one: `open` says null
// and nothing more. What a store keeps for us is sealed the same way, each value for the one place where it is to stand.

import { type KeyObject, createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync } from 'node:crypto';

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

/** A request that one replica passes on to the owner of what it is about: who sent it, as the first one has found out. */
export interface HopClaims extends Sealed {
  readonly kind: 'hop';
  /** The replica that passes it on. */
  readonly from: string;
  readonly proof: string;
  readonly inboundKey?: string;
  /** The session was handed over, and is to be taken by the one that is meant. */
  readonly takesOver?: true;
}

/** A replica asks another how it is. */
export interface GreetingClaims extends Sealed {
  readonly kind: 'greeting';
  /** What its answer must name. */
  readonly nonce: string;
}

/** How a replica is. */
export interface HelloClaims extends Sealed {
  readonly kind: 'hello';
  readonly nonce: string;
  readonly version: string;
  /** Milliseconds since 1970, by its clock. */
  readonly wallMs: number;
  readonly isDraining: boolean;
}

export type SealedClaims =
  | SessionClaims
  | EndpointClaims
  | RoundClaims
  | ReplayClaims
  | HopClaims
  | GreetingClaims
  | HelloClaims;

/** What a token is for, and what it says then. */
interface ClaimsFor {
  readonly session: SessionClaims;
  readonly endpoint: EndpointClaims;
  readonly state: RoundClaims | ReplayClaims;
  readonly hop: HopClaims | GreetingClaims | HelloClaims;
}

export type Purpose = keyof ClaimsFor;

const PURPOSES: Readonly<Record<SealedClaims['kind'], Purpose>> = {
  session: 'session',
  endpoint: 'endpoint',
  round: 'state',
  replay: 'state',
  hop: 'hop',
  greeting: 'hop',
  hello: 'hop',
};

export const SECRET_BYTES = 32;
const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KID_BYTES = 4;
/** Of some 600 bytes each. */
const MAX_OPENED = 10_000;
const HEAD_BYTES = 1 + KID_BYTES + IV_BYTES;

/** Of one secret and one purpose. */
interface SealingKey {
  /** Ready for use: from its bytes Node makes one each time, at five times the cost of the rest. */
  readonly key: KeyObject;
  /** Names the key inside the token, and says nothing of it. */
  readonly kid: Uint8Array;
}

/** The first one seals, all of them open. */
type KeyRing = readonly [SealingKey, ...SealingKey[]];
type Rings = Readonly<Record<Purpose | 'store', KeyRing>>;

export class TokenSealer {
  readonly #random: (length: number) => Uint8Array;
  #rings: Rings;
  /** Of session ids that have opened: one comes with each request of its session. */
  #opened = new Map<string, SessionClaims>();

  /** See `use`; `random` gives cryptographic randomness. */
  constructor(secret: Uint8Array, random: (length: number) => Uint8Array, older: readonly Uint8Array[] = []) {
    this.#random = random;
    this.#rings = ringsOf(secret, older);
  }

  /** From now on `secret` seals, and what the `older` ones have sealed still opens. Each has 32 bytes. */
  use(secret: Uint8Array, older: readonly Uint8Array[]): void {
    this.#rings = ringsOf(secret, older);
    this.#opened.clear();
  }

  seal(claims: SealedClaims): string {
    const [key] = this.#rings[PURPOSES[claims.kind]];
    return this.#sealed(key, Buffer.from(JSON.stringify(claims)), NOWHERE).toString('base64url');
  }

  /** For a store: it opens at this place and at no other. */
  sealValue(value: Uint8Array, place: string): Buffer {
    return this.#sealed(this.#rings.store[0], value, Buffer.from(place));
  }

  /** What was sealed for this place by one of us; null for anything else that may stand there. */
  openValue(sealed: Uint8Array, place: string): Buffer | null {
    return this.#openedBytes(this.#rings.store, sealed, Buffer.from(place));
  }

  /** The claims of a token of ours that is for this and has not expired, else null. */
  open<For extends Purpose>(purpose: For, token: string, nowSeconds: number): ClaimsFor[For] | null {
    const claims = this.#claimsIn(purpose, token);
    return claims !== null && claims.expiresAt > nowSeconds ? claims : null;
  }

  /** The same for a session id, which is opened once, however often it comes. */
  openSession(id: string, nowSeconds: number): SessionClaims | null {
    const known = this.#opened.get(id) ?? this.#claimsIn('session', id);
    if (known === null || known.expiresAt <= nowSeconds) return null;
    if (this.#opened.size >= MAX_OPENED) this.#opened.clear();
    this.#opened.set(id, known);
    return known;
  }

  #claimsIn<For extends Purpose>(purpose: For, token: string): ClaimsFor[For] | null {
    // Canonical text only: base64url has spare bits in its last character, and one token must have one spelling.
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.toString('base64url') !== token) return null;
    const text = this.#openedBytes(this.#rings[purpose], bytes, NOWHERE);
    if (text === null) return null;
    // Only we can have sealed it, and with this key for this purpose, so its shape is ours.
    return JSON.parse(text.toString('utf8')) as ClaimsFor[For];
  }

  #sealed({ key, kid }: SealingKey, value: Uint8Array, place: Uint8Array): Buffer {
    const iv = this.#random(IV_BYTES);
    const head = Buffer.concat([Buffer.of(VERSION), kid]);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.concat([head, place]));
    const sealed = [cipher.update(value), cipher.final()];
    return Buffer.concat([head, iv, ...sealed, cipher.getAuthTag()]);
  }

  #openedBytes(ring: KeyRing, sealed: Uint8Array, place: Uint8Array): Buffer | null {
    if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== VERSION) return null;
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const head = bytes.subarray(0, 1 + KID_BYTES);
    const named = ring.find(({ kid }) => head.subarray(1).equals(kid));
    // With a key that it does not name it cannot open. It is tried all the same: which keys there are takes no less time
    // to find out than which token is good.
    const { key } = named ?? ring[0];
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1 + KID_BYTES, HEAD_BYTES))
        .setAAD(Buffer.concat([head, place]))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch {
      return null;
    }
  }
}

/** A token is the client's to carry where it likes. */
const NOWHERE = new Uint8Array(0);

function ringsOf(secret: Uint8Array, older: readonly Uint8Array[]): Rings {
  const ring = (purpose: keyof Rings): KeyRing => [
    keyFor(purpose, secret),
    ...older.map((each) => keyFor(purpose, each)),
  ];
  return {
    session: ring('session'),
    endpoint: ring('endpoint'),
    state: ring('state'),
    hop: ring('hop'),
    store: ring('store'),
  };
}

function keyFor(purpose: keyof Rings, secret: Uint8Array): SealingKey {
  if (secret.length !== SECRET_BYTES) throw new RangeError(`a sealing secret has ${SECRET_BYTES} bytes`);
  const key = Buffer.from(hkdfSync('sha256', secret, '', `mcp-causeway ${purpose} token`, 32));
  return { key: createSecretKey(key), kid: createHash('sha256').update(key).digest().subarray(0, KID_BYTES) };
}
