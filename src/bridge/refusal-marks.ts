// A question on a link that several calls share belongs to nobody, and is refused. Servers put the words of a refusal
// into the answer of the call that asked: a random mark in them tells whose call that was, without guessing.

import type { Random } from '../domain/ports.ts';
import { type Answer, type Request, readMessage } from '../protocol/json-rpc.ts';
import { type Edit, splice } from '../protocol/splice.ts';
import { missingCapabilities } from './questions.ts';
import { type Refusal, UNDECLARED } from './reply-router.ts';

/** Marks that are remembered. A server relays one at once, or never. */
const MAX_MARKS = 64;

export class RefusalMarks {
  readonly #random: Random;
  /** What the client would have had to declare, by the text of the mark. */
  readonly #required = new Map<string, object>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The refusal of a question, with a mark of its own. */
  refusal(question: Request): Refusal {
    const required = missingCapabilities(question);
    if (required === null) return UNDECLARED;
    const mark = ` (${Buffer.from(this.#random.bytes(12)).toString('hex')})`;
    this.#required.set(mark, required);
    const [oldest] = this.#required.keys();
    if (this.#required.size > MAX_MARKS && oldest !== undefined) this.#required.delete(oldest);
    return { ...UNDECLARED, message: UNDECLARED.message + mark };
  }

  /** The answer without any mark; `required`: what the question wanted whose refusal it repeats, null without one. */
  takenFrom(answer: Answer): { readonly required: object | null; readonly answer: Answer } {
    if (this.#required.size === 0) return { required: null, answer };
    const bytes = Buffer.from(answer.bytes.buffer, answer.bytes.byteOffset, answer.bytes.length);
    // Most answers repeat no refusal.
    if (!bytes.includes(UNDECLARED.message)) return { required: null, answer };
    let required: object | null = null;
    const edits: Edit[] = [];
    for (const [mark, wanted] of this.#required) {
      for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) {
        required ??= wanted;
        edits.push({ start: at, end: at + mark.length, text: NOTHING });
      }
    }
    if (required === null) return { required, answer };
    const without = readMessage(Buffer.concat(splice(answer.bytes, edits)), { maxDepth: Number.POSITIVE_INFINITY });
    return { required, answer: without.kind === 'result' || without.kind === 'error' ? without : answer };
  }
}

const NOTHING = new Uint8Array(0);
