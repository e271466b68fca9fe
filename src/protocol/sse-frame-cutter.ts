// Cuts an upstream's event stream into frames without decoding it: the bytes of a message go to the JSON-RPC reader as
// they came, every other event goes on to a real EventSource parser. The grammar is the one of the HTML standard.
//
// Two things a reader would get wrong. A lone CR ends a line at once, so the LF of a CRLF is swallowed later, perhaps
// only in the next chunk. And an unfinished frame must not hold on to more memory than is counted: see HeldBytes.

export interface CutFrames {
  /**
   * One complete event whose type is absent, empty, `message`, or `ping` with data: the bytes of its data. Never empty.
   * A view of the chunk when it came whole in one, else glued once. It may be kept (which keeps the chunk in memory)
   * and is valid for as long as nobody writes into the chunk.
   */
  message(data: Uint8Array): void;
  /**
   * Every other complete event that has data, for a real EventSource parser: written anew from its type and data, with
   * LF ends. Its `id` and `retry` are left out: nothing upstream is resumable, and when to reconnect is not its choice.
   */
  rest(frame: Uint8Array): void;
  /** One comment line, or one frame that is dispatched to nobody: it only shows that the peer is alive. */
  comment(): void;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

const BOM = [0xef, 0xbb, 0xbf] as const;
const EVENT = ascii('event');
const DATA = ascii('data');
const MESSAGE = ascii('message');
const PING = ascii('ping');
const LINE_FEED = ascii('\n');
const EVENT_FIELD = ascii('event: ');
const DATA_FIELD = ascii('\ndata: ');
const FRAME_END = ascii('\n\n');
const NOTHING = ascii('');

/** The length of `event: `: with so many bytes it is certain what a line is and where its value begins. */
const DECIDING_BYTES = 7;
const NOT_FOUND = -1;
const NOT_SEARCHED = -2;

/**
 * Bytes of a value that runs over several chunks. A run that is most of the memory behind it is kept as it is, any
 * other is copied: a view of seven bytes can keep 64 KiB alive, and a view per byte costs a hundred times the byte.
 */
class HeldBytes {
  static readonly #blockBytes = 4096;
  #runs: Uint8Array[] = [];
  #length = 0;
  /** Where copies go while it has room; not among the runs yet. */
  #block = NOTHING;
  #used = 0;

  add(run: Uint8Array): void {
    this.#length += run.length;
    if (run.length >= HeldBytes.#blockBytes && run.length * 2 >= run.buffer.byteLength) {
      this.#closeBlock();
      this.#runs.push(run);
      return;
    }
    if (this.#used + run.length > this.#block.length) {
      this.#closeBlock();
      this.#block = new Uint8Array(Math.max(HeldBytes.#blockBytes, run.length));
    }
    this.#block.set(run, this.#used);
    this.#used += run.length;
  }

  /** Everything added since the last take, in one piece. */
  take(): Uint8Array {
    this.#closeBlock();
    const [first = NOTHING, ...others] = this.#runs;
    if (others.length === 0) {
      this.drop();
      return first;
    }
    // Not filled with zeros, which takes as long as the copy.
    const glued: Uint8Array = Buffer.allocUnsafeSlow(this.#length);
    let at = 0;
    for (const run of this.#runs) {
      glued.set(run, at);
      at += run.length;
    }
    this.drop();
    return glued;
  }

  drop(): void {
    this.#runs = [];
    this.#length = 0;
    this.#block = NOTHING;
    this.#used = 0;
  }

  #closeBlock(): void {
    if (this.#used > 0) this.#runs.push(this.#block.subarray(0, this.#used));
    this.#block = NOTHING;
    this.#used = 0;
  }
}

/** The callbacks must not throw. */
export class SseFrameCutter {
  readonly #out: CutFrames;
  readonly #maxBytes: number;
  #dead = false;

  /** How many bytes of the leading BOM have come; all of them once that question is closed. */
  #bomBytes = 0;
  /** The last chunk ended in a CR: a LF at the start of the next one belongs to it. */
  #swallowLf = false;

  /** What the line is that ran over the end of a chunk; `none` between lines. */
  #line: 'none' | 'undecided' | 'data' | 'event' | 'comment' | 'ignored' = 'none';
  /** Length of that line once it is certain that it is not data. */
  #lineBytes = 0;
  /** Its first bytes while undecided. A new array each time: data may be a view of it. */
  #head = NOTHING;
  #headBytes = 0;
  readonly #eventValue = new HeldBytes();

  #type = MESSAGE;
  #dataLines = 0;
  /** Of all data lines, with the LF between them. */
  #dataBytes = 0;
  /** The only data line so far, while it is a view of the chunk being read. All other data is in #heldData. */
  #dataView: Uint8Array | undefined;
  readonly #heldData = new HeldBytes();
  /** Something in this frame has been told as a comment. */
  #commented = false;

  constructor(out: CutFrames, limits: { readonly maxMessageBytes: number }) {
    this.#out = out;
    this.#maxBytes = limits.maxMessageBytes;
  }

  /**
   * Nobody may write into the chunk afterwards. False, from then on for ever, when one frame needs more than
   * maxMessageBytes: its data, its type if we do not know it, and the line being read if that is not data. Comments and
   * ignored lines that have ended cost nothing; a peer may send them all day.
   *
   * Line ends are searched with the chunk's own indexOf: that of a Buffer is 30 times as fast as a plain Uint8Array's.
   */
  push(chunk: Uint8Array): boolean {
    if (this.#dead) return false;
    let at = this.#swallow(chunk);
    let lf = NOT_SEARCHED;
    let cr = NOT_SEARCHED;
    while (at < chunk.length) {
      // What was found, or not found, holds until it is passed: no byte is searched twice for the same end.
      if (lf !== NOT_FOUND && lf < at) lf = chunk.indexOf(LF, at);
      if (cr !== NOT_FOUND && cr < at) cr = chunk.indexOf(CR, at);
      const end = cr === NOT_FOUND || (lf !== NOT_FOUND && lf < cr) ? lf : cr;
      if (end === NOT_FOUND) {
        if (!this.#openLine(chunk, at, chunk.length)) return this.#die();
        break;
      }
      if (this.#line === 'none') {
        if (!this.#wholeLine(chunk, at, end)) return this.#die();
      } else {
        if (!this.#openLine(chunk, at, end) || !this.#closeLine()) return this.#die();
      }
      at = end + 1;
      if (end === cr) {
        if (at === chunk.length) this.#swallowLf = true;
        else if (chunk[at] === LF) at++;
      }
    }
    this.#keepData();
    return true;
  }

  /** Where the first line begins, or goes on, in this chunk: behind a BOM, or the second half of a CRLF. */
  #swallow(chunk: Uint8Array): number {
    let at = 0;
    while (this.#bomBytes < BOM.length && at < chunk.length) {
      if (chunk[at] !== BOM[this.#bomBytes]) {
        if (this.#bomBytes > 0) {
          // No BOM after all, but the start of a line; and no field that we know begins like that.
          this.#line = 'ignored';
          this.#lineBytes = this.#bomBytes;
        }
        this.#bomBytes = BOM.length;
        return at;
      }
      this.#bomBytes++;
      at++;
    }
    if (this.#swallowLf && at < chunk.length) {
      this.#swallowLf = false;
      if (chunk[at] === LF) at++;
    }
    return at;
  }

  /** A line of which nothing was read before. False when the limit is exceeded. */
  #wholeLine(bytes: Uint8Array, at: number, end: number): boolean {
    if (at === end) {
      this.#endFrame();
      return true;
    }
    if (startsField(bytes, at, DATA)) {
      this.#beginData();
      const value = bytes.subarray(valueStart(bytes, at + DATA.length), end);
      this.#dataBytes += value.length;
      if (this.#dataLines === 1) this.#dataView = value;
      else this.#heldData.add(value);
      return this.#fits(0);
    }
    if (!this.#fits(end - at)) return false;
    if (startsField(bytes, at, EVENT)) {
      this.#type = typeOf(bytes, valueStart(bytes, at + EVENT.length), end);
    } else if (bytes[at] === COLON) {
      this.#noteComment();
    } else if (equals(bytes, at, end, DATA)) {
      this.#beginData();
    } else if (equals(bytes, at, end, EVENT)) {
      this.#type = MESSAGE;
    }
    return this.#fits(0);
  }

  /** More of a line whose end is not in sight, or was not when it began. False when the limit is exceeded. */
  #openLine(chunk: Uint8Array, from: number, to: number): boolean {
    let at = from;
    if (this.#line === 'none') {
      this.#line = 'undecided';
      this.#head = new Uint8Array(DECIDING_BYTES);
      this.#headBytes = 0;
    }
    if (this.#line === 'undecided') {
      while (this.#headBytes < DECIDING_BYTES && at < to) this.#head[this.#headBytes++] = chunk[at++] ?? 0;
      if (this.#headBytes < DECIDING_BYTES) return true;
      this.#decideLine();
    }
    const run = chunk.subarray(at, to);
    if (this.#line === 'data') {
      this.#heldData.add(run);
      this.#dataBytes += run.length;
      return this.#fits(0);
    }
    if (this.#line === 'event') this.#eventValue.add(run);
    this.#lineBytes += run.length;
    return this.#fits(this.#lineBytes);
  }

  #decideLine(): void {
    const head = this.#head;
    if (startsField(head, 0, DATA)) {
      this.#line = 'data';
      this.#beginData();
      const value = head.subarray(valueStart(head, DATA.length));
      this.#heldData.add(value);
      this.#dataBytes += value.length;
      return;
    }
    this.#lineBytes = head.length;
    if (startsField(head, 0, EVENT)) {
      this.#line = 'event';
      this.#eventValue.add(head.subarray(valueStart(head, EVENT.length)));
    } else {
      this.#line = head[0] === COLON ? 'comment' : 'ignored';
    }
  }

  #closeLine(): boolean {
    const line = this.#line;
    this.#line = 'none';
    this.#lineBytes = 0;
    if (line === 'undecided') return this.#wholeLine(this.#head.subarray(0, this.#headBytes), 0, this.#headBytes);
    if (line === 'comment') this.#noteComment();
    if (line === 'event') {
      const value = this.#eventValue.take();
      this.#type = typeOf(value, 0, value.length);
    }
    return this.#fits(0);
  }

  /** The LF between data lines, and the first line out of the way, so that the next can follow it. */
  #beginData(): void {
    this.#dataLines++;
    if (this.#dataLines === 1) return;
    this.#keepData();
    this.#heldData.add(LINE_FEED);
    this.#dataBytes++;
  }

  /** The view must not outlive the chunk it is a small part of. */
  #keepData(): void {
    if (this.#dataView === undefined) return;
    this.#heldData.add(this.#dataView);
    this.#dataView = undefined;
  }

  #noteComment(): void {
    this.#commented = true;
    this.#out.comment();
  }

  #endFrame(): void {
    const type = this.#type;
    const isMessage = type === MESSAGE || type === PING;
    const hasData = this.#dataLines > 0;
    const data = this.#dataView ?? (hasData ? this.#heldData.take() : NOTHING);
    const commented = this.#commented;
    this.#type = MESSAGE;
    this.#dataLines = 0;
    this.#dataBytes = 0;
    this.#dataView = undefined;
    this.#commented = false;
    if (isMessage && data.length > 0) this.#out.message(data);
    else if (!isMessage && hasData) this.#out.rest(writeFrame(type, data));
    else if (!commented) this.#out.comment();
  }

  #fits(lineBytes: number): boolean {
    const typeBytes = this.#type === MESSAGE || this.#type === PING ? 0 : this.#type.length;
    return this.#dataBytes + typeBytes + lineBytes <= this.#maxBytes;
  }

  #die(): false {
    this.#dead = true;
    this.#type = MESSAGE;
    this.#dataView = undefined;
    this.#heldData.drop();
    this.#eventValue.drop();
    return false;
  }
}

/** The types we know as our own constants, any other as a copy. */
function typeOf(bytes: Uint8Array, at: number, end: number): Uint8Array<ArrayBuffer> {
  if (at === end || equals(bytes, at, end, MESSAGE)) return MESSAGE;
  if (equals(bytes, at, end, PING)) return PING;
  return Uint8Array.from(bytes.subarray(at, end));
}

/** Is there a name and a colon here? The name has no line end in it, so a match cannot reach over one. */
function startsField(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return bytes[at + name.length] === COLON;
}

/** Behind the colon and one space, if there is one. */
function valueStart(bytes: Uint8Array, colonAt: number): number {
  return bytes[colonAt + 1] === SPACE ? colonAt + 2 : colonAt + 1;
}

function equals(bytes: Uint8Array, at: number, end: number, expected: Uint8Array): boolean {
  if (end - at !== expected.length) return false;
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
  return true;
}

function writeFrame(type: Uint8Array, data: Uint8Array): Uint8Array {
  let dataLines = 1;
  for (const byte of data) if (byte === LF) dataLines++;
  const lineFeeds = dataLines - 1;
  const frame = new Uint8Array(
    EVENT_FIELD.length + type.length + dataLines * DATA_FIELD.length + data.length - lineFeeds + FRAME_END.length,
  );
  let at = 0;
  const write = (bytes: Uint8Array): void => {
    frame.set(bytes, at);
    at += bytes.length;
  };
  write(EVENT_FIELD);
  write(type);
  write(DATA_FIELD);
  for (const byte of data) {
    if (byte === LF) write(DATA_FIELD);
    else frame[at++] = byte;
  }
  write(FRAME_END);
  return frame;
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
