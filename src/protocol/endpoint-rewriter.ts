// Lets an upstream's event stream through byte for byte, but for one thing: the URL in an endpoint event becomes ours.
//
// What a frame is shows when it ends: the type may stand behind the data, and the last one counts. So until there has
// been an endpoint event frames are held until they are complete, which costs nothing, since nothing else is to be said
// before it. From then on nothing is held but the rest of a frame that has called itself `endpoint`: a second one is
// rewritten as well, since one that crossed as it is could send the client's next message, and its credential, to any
// path of ours. A second one whose type stands behind its data comes too late for that: it ends the stream, before the
// line end without which it means nothing.
//
// Clients are known that read a stream less strictly than is written, and take blanks from around a line, a name or a
// value. What is an endpoint event to either reading is one here.

import { ProxyError } from '../domain/errors.ts';

const LF = 0x0a;
const CR = 0x0d;
const NOT_FOUND = -1;
const NOT_SEARCHED = -2;

/** An endpoint event longer than this is none. */
const MAX_HELD_BYTES = 64 * 1024;
const ENDPOINT_LINE = 'event:endpoint';
/** So many bytes of a line that are no blanks show whether it is the type `endpoint`; one more shows whether it is longer. */
const HEAD_BYTES = ENDPOINT_LINE.length + 1;
/** Blanks, and the control characters that are trimmed with them. */
// oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
const BLANKS = /[\u0000-\u0020]+/g;
const LAST_BLANK = 0x20;
/** U+FEFF in UTF-8, read as Latin-1. */
const BOM = '\u00ef\u00bb\u00bf';

export class EndpointRewriter {
  readonly #announce: (announced: string) => string;

  /** What has come of the frame that is held. */
  #held = Buffer.alloc(1024);
  #heldBytes = 0;
  #isHolding = true;
  /** What is held began with a line that was let through: `event: endpoint`. */
  #isCalledEndpoint = false;
  #wasAnnounced = false;
  #isFirstFrame = true;
  /** Data of this frame was let through. */
  #passedData = false;

  /** The first bytes of the line that are no blanks. */
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  #lineBytes = 0;
  /** The last chunk ended in a CR: a LF at the start of the next one belongs to it. */
  #swallowLf = false;

  /** `announce` makes our URL of the upstream's, or throws. */
  constructor(announce: (announced: string) => string) {
    this.#announce = announce;
  }

  /**
   * What may go on to the client by now: views of the chunk but for what was held. Throws when the stream must end.
   * What is held when the upstream ends is dropped: a frame without an end means nothing.
   */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    /** Everything before it has gone on, or is held. */
    let taken = 0;
    const takeTo = (end: number): void => {
      const bytes = chunk.subarray(taken, end);
      taken = end;
      if (bytes.length === 0) return;
      if (this.#isHolding) this.#hold(bytes);
      else out.push(bytes);
    };
    let at = 0;
    if (this.#swallowLf && chunk.length > 0) {
      this.#swallowLf = false;
      if (chunk[0] === LF) {
        at = 1;
        // Of a frame that is over: it needs no other to go on.
        if (this.#isHolding && this.#heldBytes === 0) {
          out.push(chunk.subarray(0, 1));
          taken = 1;
        }
      }
    }
    let lf = NOT_SEARCHED;
    let cr = NOT_SEARCHED;
    while (at < chunk.length) {
      // What was found, or not found, holds until it is passed: no byte is searched twice for the same end.
      if (lf !== NOT_FOUND && lf < at) lf = chunk.indexOf(LF, at);
      if (cr !== NOT_FOUND && cr < at) cr = chunk.indexOf(CR, at);
      const end = cr === NOT_FOUND || (lf !== NOT_FOUND && lf < cr) ? lf : cr;
      this.#readLine(chunk, at, end === NOT_FOUND ? chunk.length : end);
      if (end === NOT_FOUND) break;
      at = end + 1;
      if (end === cr) {
        if (at === chunk.length) this.#swallowLf = true;
        else if (chunk[at] === LF) at++;
      }
      this.#endLine(() => takeTo(at), out);
    }
    takeTo(chunk.length);
    return out;
  }

  #readLine(chunk: Buffer, from: number, to: number): void {
    for (let at = from; at < to && this.#headBytes < HEAD_BYTES; at++) {
      const byte = chunk[at] ?? 0;
      if (byte > LAST_BLANK) this.#head[this.#headBytes++] = byte;
    }
    this.#lineBytes += to - from;
  }

  /** `take`: everything to behind the end of this line. */
  #endLine(take: () => void, out: Buffer[]): void {
    const isBlank = this.#lineBytes === 0;
    const head = this.#head.toString('latin1', 0, this.#headBytes);
    this.#lineBytes = 0;
    this.#headBytes = 0;
    if (this.#isHolding) {
      take();
      if (isBlank) this.#endHeldFrame(out);
    } else if (isBlank) {
      this.#passedData = false;
    } else if (head === ENDPOINT_LINE) {
      if (this.#passedData) {
        throw new ProxyError('endpoint_refused', 'the upstream announced another POST URL, its type behind its data');
      }
      take();
      this.#isHolding = true;
      this.#isCalledEndpoint = true;
    } else if (/^data(?::|$)/.test(head)) {
      this.#passedData = true;
    }
  }

  #hold(bytes: Buffer): void {
    const length = this.#heldBytes + bytes.length;
    if (length > MAX_HELD_BYTES) {
      throw new ProxyError('endpoint_missing', 'the upstream sent a long event where its endpoint event was due');
    }
    if (length > this.#held.length) {
      const larger = Buffer.alloc(Math.min(MAX_HELD_BYTES, 2 ** Math.ceil(Math.log2(length))));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = length;
  }

  #endHeldFrame(out: Buffer[]): void {
    // A copy: what is held next is written into the same memory, and this may wait for the client.
    const frame = Buffer.from(this.#held.subarray(0, this.#heldBytes));
    this.#heldBytes = 0;
    const { isEndpoint, data } = readFrame(frame, this.#isCalledEndpoint, this.#isFirstFrame);
    this.#isFirstFrame = false;
    this.#isCalledEndpoint = false;
    if (isEndpoint && data !== null) {
      const announced = this.#announce(data.lines.join('\n'));
      out.push(frame.subarray(0, data.start), Buffer.from(data.before + announced), frame.subarray(data.end));
      this.#wasAnnounced = true;
    } else {
      out.push(frame);
    }
    this.#isHolding = !this.#wasAnnounced;
  }
}

interface FrameData {
  /** From the first value to the last, in the bytes of the frame. */
  readonly start: number;
  readonly end: number;
  /** What must stand before a value there: nothing, unless the line is a bare `data`. */
  readonly before: string;
  readonly lines: readonly string[];
}

/** `isEndpoint`: by the lines before these. `isFirst`: a BOM may stand before it. */
function readFrame(
  frame: Buffer,
  isEndpoint: boolean,
  isFirst: boolean,
): { isEndpoint: boolean; data: FrameData | null } {
  // One character per byte, so that places in the text are places in the frame.
  const text = frame.toString('latin1');
  /** What the frame is, read as it is written and with the blanks taken away. */
  const is = { strictly: isEndpoint, loosely: isEndpoint };
  let data: FrameData | null = null;
  for (const { 0: whole, index } of text.matchAll(/[^\r\n]+/g)) {
    const skipped = isFirst && index === 0 && whole.startsWith(BOM) ? BOM.length : 0;
    const [field = '', name = '', colon = ''] = /^([^:]*)(: ?)?/.exec(whole.slice(skipped)) ?? [];
    const start = index + skipped + field.length;
    const end = index + whole.length;
    const value = text.slice(start, end);
    const loosely = name.replaceAll(BLANKS, '');
    if (name === 'event') is.strictly = value === 'endpoint';
    if (loosely === 'event') is.loosely = value.replaceAll(BLANKS, '') === 'endpoint';
    if (loosely !== 'data') continue;
    const first: FrameData = data ?? { start, end, before: colon === '' ? ': ' : '', lines: [] };
    data = { ...first, end, lines: [...first.lines, frame.toString('utf8', start, end)] };
  }
  return { isEndpoint: is.strictly || is.loosely, data };
}
