// What stands in the store, sealed by what all replicas share for the one place where it stands, and read back: what was
// moved, changed or made up by others does not open. The names of the places are digests: who reads them learns neither a
// session's id nor whose it is.

import { createHash } from 'node:crypto';
import type { StreamedEvent } from '../domain/ports.ts';
import type { SessionName, StoreLease } from '../domain/session-store.ts';
import type { TokenSealer } from '../protocol/sealed-token.ts';
import type { ShelfPlaces } from './shelf.ts';

/** Another one where older replicas could not read what this one writes, and the other way round. */
const FORMAT = 'v1';
const DIGEST_BYTES = 16;
const LF = 0x0a;

export class StorePlaces {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = `${prefix}:${FORMAT}`;
  }

  /** In braces: where keys are spread over machines, those of a session stay together. */
  session({ id, principal }: SessionName): ShelfPlaces {
    const of = `${this.#prefix}:{${digest(principal)}.${digest(id)}}`;
    return { lease: `${of}:lease`, record: `${of}:session`, events: `${of}:events` };
  }

  /** Of the process that calls itself so. */
  replica(incarnation: string): string {
    return `${this.#prefix}:replica:${incarnation}`;
  }

  get deployment(): string {
    return `${this.#prefix}:deployment`;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest().subarray(0, DIGEST_BYTES).toString('base64url');
}

export class Seals {
  readonly #sealer: TokenSealer;

  constructor(sealer: TokenSealer) {
    this.#sealer = sealer;
  }

  text(place: string, text: string): Buffer {
    return this.#sealer.sealValue(Buffer.from(text), place);
  }

  openText(place: string, sealed: Buffer): string | null {
    return this.#sealer.openValue(sealed, place)?.toString('utf8') ?? null;
  }

  lease(place: string, { owner, fence }: StoreLease): Buffer {
    return this.text(place, JSON.stringify([fence, owner]));
  }

  openLease(place: string, sealed: Buffer): StoreLease | null {
    const text = this.openText(place, sealed);
    if (text === null) return null;
    // Sealed by us as this, so its shape is ours.
    const [fence, owner] = JSON.parse(text) as [number, string | null];
    return { owner, fence };
  }

  record(place: string, record: Uint8Array): Buffer {
    return this.#sealer.sealValue(record, place);
  }

  openRecord(place: string, sealed: Buffer): Buffer | null {
    return this.#sealer.openValue(sealed, place);
  }

  event(place: string, { stream, event }: StreamedEvent): Buffer {
    return this.#sealer.sealValue(Buffer.concat([Buffer.from(`${stream}.${event.seq}\n`), event.message]), place);
  }

  openEvent(place: string, sealed: Buffer): StreamedEvent | null {
    const bytes = this.#sealer.openValue(sealed, place);
    if (bytes === null) return null;
    const end = bytes.indexOf(LF);
    const [stream = 0, seq = 0] = bytes.toString('latin1', 0, end).split('.').map(Number);
    return { stream, event: { seq, message: bytes.subarray(end + 1) } };
  }
}
