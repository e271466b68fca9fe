// Our ids out, theirs back. A reply carries nothing but its id, so this is the only thing that knows who asked.
// Progress tokens are the same integers, so one table serves both.

import { NumberTable } from '../domain/collections.ts';
import { CALL_ID_LIMIT, type CallId, type LinkId, callId } from '../domain/ids.ts';
import { bytesOf } from '../protocol/json-rpc.ts';
import type { Member } from '../protocol/json-scanner.ts';

/** How many ids the memory of issued ids reaches back. */
const REMEMBERED = 1 << 14;

/**
 * The ids of one mount, over all its links, sessions included. One counter with a random start: an answer that some
 * other client of a broadcasting upstream asked for will not fit, and one that another of our own links asked for can
 * be told apart from noise, which is the proof that the upstream broadcasts.
 */
export class CallIds {
  #next: number;
  readonly #ids = new Float64Array(REMEMBERED).fill(-1);
  readonly #links = new Float64Array(REMEMBERED);
  readonly #answered = new Uint8Array(REMEMBERED);

  /** `fraction` in [0, 1) places the start in the lower half of the range: the counter never wraps in practice. */
  constructor(fraction: number) {
    this.#next = Math.floor(fraction * (CALL_ID_LIMIT / 2)) + 1;
  }

  issue(link: LinkId): CallId {
    const id = this.#next++;
    this.#ids[id % REMEMBERED] = id;
    this.#links[id % REMEMBERED] = link;
    this.#answered[id % REMEMBERED] = 0;
    return callId(id);
  }

  /** Its answer has come. */
  answered(id: number): void {
    if (this.#ids[id % REMEMBERED] === id) this.#answered[id % REMEMBERED] = 1;
  }

  /** Whether what was asked under this id has had its answer, as long as it is remembered. */
  isAnswered(id: number): boolean {
    return this.#ids[id % REMEMBERED] === id && this.#answered[id % REMEMBERED] === 1;
  }

  /** The link for which an id was issued, as long as it is remembered. */
  issuedFor(id: number): LinkId | null {
    // The stored number was a LinkId when it went in.
    return this.#ids[id % REMEMBERED] === id ? (this.#links[id % REMEMBERED] as LinkId) : null;
  }
}

/** Our integer in an answer's id or a notification's token, whether it comes back as number or as string. */
export function ownId(bytes: Uint8Array, member: Member | null | undefined): number | null {
  if (member === null || member === undefined) return null;
  const raw = bytesOf(bytes, member);
  const from = member.kind === 'string' ? 1 : 0;
  const to = raw.length - from;
  if (member.kind !== 'string' && member.kind !== 'integer') return null;
  if (to <= from || to - from > 13) return null;
  // We never wrote zeros in front: not ours, and never routed by guess.
  if (raw[from] === 0x30 && to - from > 1) return null;
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = (raw[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
  }
  return value < CALL_ID_LIMIT ? value : null;
}

/** What is open on one link: our id → who asked. */
export class Correlation<Owner> {
  readonly #open = new NumberTable<Owner>();

  get size(): number {
    return this.#open.size;
  }

  /** Before the POST: the reply can arrive before the POST is answered. */
  begin(id: CallId, owner: Owner): void {
    this.#open.set(id, owner);
  }

  find(id: number): Owner | undefined {
    return this.#open.get(id);
  }

  /** Gives up the id. The first answer wins: a second one finds nobody. */
  settle(id: number): Owner | undefined {
    return this.#open.delete(id);
  }

  owners(): readonly Owner[] {
    return this.#open.values();
  }

  /** Everybody who still waits, for when the link is gone. */
  takeAll(): readonly Owner[] {
    const owners = this.#open.values();
    this.#open.clear();
    return owners;
  }
}
