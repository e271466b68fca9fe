// Texts in, messages out, for the tests of what is read.

import { type Message, type ReadLimits, type Unreadable, readMessage } from '../../src/protocol/json-rpc.ts';

const LIMITS: ReadLimits = { maxDepth: 128 };

export function read(text: string | Uint8Array, limits: ReadLimits = LIMITS): Message | Unreadable {
  return readMessage(typeof text === 'string' ? Buffer.from(text) : text, limits);
}

/** A message that is known to be one of this kind. */
export function readAs<Kind extends Message['kind']>(kind: Kind, text: string): Extract<Message, { kind: Kind }> {
  const message = read(text);
  if (message.kind !== kind) throw new Error(`${message.kind}, not ${kind}: ${text}`);
  // The compiler does not narrow a union by a generic tag.
  return message as Extract<Message, { kind: Kind }>;
}

export function textOfChunks(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString();
}
