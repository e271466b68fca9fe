// JSON-RPC batches: several messages in one array, which clients of revision 2025-03-26 may send. A batch is read
// whole or not at all, and its messages are views of its bytes: none of them is copied, so each keeps all of them alive.
//
// [spec 2025-03-26 basic] "MCP implementations MAY support sending JSON-RPC batches, but MUST support receiving JSON-RPC
// batches." [spec 2025-06-18 changelog] "Remove support for JSON-RPC batching": the other revisions know none.

import { type Message, type ReadLimits, type Unreadable, bytesOf, idText, readMessage } from './json-rpc.ts';
import { JsonFault, Scanner, type Span, TooDeep } from './json-scanner.ts';

export type Batch = { readonly kind: 'batch'; readonly messages: readonly Message[] };

export interface BatchLimits extends ReadLimits {
  readonly maxMessages: number;
}

/** Whether the first token of the text is `[`: then it is a batch, or nothing. */
export function isBatch(bytes: Uint8Array): boolean {
  let at = 0;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return bytes[at] === 0x5b;
}

/**
 * Reads a text of which `isBatch` is true. Each message is read strictly, as if it had come alone, and its depth counts
 * from its own root. The bytes must be valid UTF-8, as for readMessage. Never throws.
 */
export function readBatch(bytes: Uint8Array, limits: BatchLimits): Batch | Unreadable {
  const elements = readArray(bytes, limits);
  if ('kind' in elements) return elements;
  const messages: Message[] = [];
  for (const [index, message] of elements.entries()) {
    if (message.kind === 'unreadable') return invalid(inBatch(index, message.why));
    messages.push(message);
  }
  return { kind: 'batch', messages };
}

/** The same for an array of an upstream: one element that cannot be read takes no other with it. Never throws. */
export function readArray(bytes: Uint8Array, limits: BatchLimits): readonly (Message | Unreadable)[] | Unreadable {
  const elements = elementsOf(bytes, limits);
  if ('kind' in elements) return elements;
  return elements.map((element) => readMessage(bytesOf(bytes, element), limits));
}

/** Where the elements stand, in a text that is JSON to its end and whose limits are kept. */
function elementsOf(bytes: Uint8Array, limits: BatchLimits): readonly Span[] | Unreadable {
  if (!isBatch(bytes)) return invalid('a batch is one JSON array');
  const scanner = new Scanner(bytes, limits.maxDepth);
  const elements: Span[] = [];
  try {
    scanner.skipSpace();
    scanner.at++;
    scanner.skipSpace();
    if (bytes[scanner.at] === 0x5d) {
      scanner.at++;
    } else {
      for (;;) {
        // What is behind the last message that we may take is not even looked at.
        if (elements.length === limits.maxMessages) {
          const why = `a batch holds at most ${limits.maxMessages} messages (limits.batch)`;
          return { ...invalid(why), limit: 'limits.batch' };
        }
        elements.push(scanner.value(0));
        scanner.skipSpace();
        const c = bytes[scanner.at++];
        if (c === 0x5d) break;
        if (c !== 0x2c) throw new JsonFault();
        scanner.skipSpace();
      }
    }
    scanner.skipSpace();
    if (scanner.at !== bytes.length) throw new JsonFault();
  } catch (fault) {
    if (fault instanceof TooDeep) {
      const why = inBatch(elements.length, `nested deeper than ${limits.maxDepth} levels (limits.jsonDepth)`);
      return { ...invalid(why), limit: 'limits.jsonDepth' };
    }
    if (fault instanceof JsonFault) {
      const why = `not JSON: unexpected input at byte ${Math.min(scanner.at, bytes.length)}`;
      return { kind: 'unreadable', code: 'parse_error', why, id: null };
    }
    throw fault;
  }
  return elements.length === 0 ? invalid('a batch holds at least one message') : elements;
}

const inBatch = (index: number, why: string): string => `message ${index + 1} of the batch: ${why}`;

/** One refusal stands for the whole batch, so it names no request. */
function invalid(why: string): Unreadable {
  return { kind: 'unreadable', code: 'invalid_request', why, id: null };
}

/**
 * How many requests are in a body that is passed on as it came. What cannot be read as a message counts as one: a server
 * may read it in another way. The bytes must be valid UTF-8, as for readMessage. Never throws.
 */
export function requestsIn(bytes: Uint8Array, limits: BatchLimits): number {
  const messages = isBatch(bytes) ? readArray(bytes, limits) : [readMessage(bytes, limits)];
  // What is behind the limit is not looked at.
  if ('kind' in messages) return messages.limit === 'limits.batch' ? limits.maxMessages : 1;
  return messages.filter(({ kind }) => kind === 'request' || kind === 'unreadable').length;
}

/** The rules for a batch that a client sends; null when it keeps them, else what is wrong, lowercase, for the client. */
export function batchFault(messages: readonly Message[]): string | null {
  // [spec 2025-03-26 lifecycle] "The initialize request MUST NOT be part of a JSON-RPC batch, as other requests and
  // notifications are not possible until initialization has completed."
  if (messages.some((message) => 'method' in message && message.method === 'initialize')) {
    return 'initialize must not be part of a batch';
  }
  // [spec 2025-03-26 transports] the body is one message, "an array batching one or more requests and/or
  // notifications" or "an array batching one or more responses".
  const responses = messages.filter(({ kind }) => kind === 'result' || kind === 'error').length;
  if (responses > 0 && responses < messages.length) {
    return 'a batch holds either requests and notifications, or responses';
  }
  // [spec 2025-03-26 basic] "The request ID MUST NOT have been previously used by the requestor within the same session."
  const seen = new Map<string, number>();
  for (const [index, message] of messages.entries()) {
    if (message.kind !== 'request') continue;
    const id = idText(message.bytes, message.id);
    const earlier = seen.get(id);
    if (earlier !== undefined) return `messages ${earlier + 1} and ${index + 1} of the batch have the same id`;
    seen.set(id, index);
  }
  return null;
}
