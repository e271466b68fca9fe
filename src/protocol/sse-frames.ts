// One message → the bytes of one SSE event. The encoder is ours because the bytes are: pieces in, pieces out, no string.

import type { Chunks } from '../domain/ports.ts';
import { encode } from './json-rpc.ts';

const HEAD = encode('event: message\ndata: ');
const TAIL = encode('\n\n');
/** A comment: shows life to every timer in between and means nothing to the client. */
export const HEARTBEAT = encode(': heartbeat\n\n');

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** One event. Exactly one, whatever the message holds. */
export function eventFrame(message: Chunks): Uint8Array[] {
  return [HEAD, ...message.map(onOneLine), TAIL];
}

/**
 * A line end would end the event. In valid JSON a raw line end stands only between tokens, where a space means the
 * same; inside a string it is an escape.
 */
function onOneLine(bytes: Uint8Array): Uint8Array {
  if (bytes.indexOf(LF) === -1 && bytes.indexOf(CR) === -1) return bytes;
  // A copy: the slice of a Buffer would be the same memory, which others may still read.
  const line = new Uint8Array(bytes);
  for (let i = 0; i < line.length; i++) if (line[i] === LF || line[i] === CR) line[i] = SPACE;
  return line;
}
