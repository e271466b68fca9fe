// What answers where another replica should: greeted as they greet each other, with the secret of the configuration.

import { randomBytes } from 'node:crypto';
import { type Dispatcher, request } from 'undici';
import { HELLO_PATH, HOP_HEADER, type HopOptions, readHello, sealGreeting } from '../protocol/hop-header.ts';
import { codeOf } from '../upstream/network-error.ts';
import type { PeerFacts } from './peer-findings.ts';

export interface Greeter extends HopOptions {
  readonly agent: Dispatcher;
  readonly signal: AbortSignal;
}

export interface Greeted {
  readonly facts: PeerFacts;
  /** How far its clock is ahead of ours; null: it does not say. */
  readonly aheadMs: number | null;
}

/** Nothing that is longer is one of ours. */
const MAX_CHARS = 4096;

export async function greeted(origin: string, greeter: Greeter): Promise<Greeted> {
  const nonce = randomBytes(16).toString('base64url');
  const { agent: dispatcher, signal } = greeter;
  const [startedAt, askedAt] = [performance.now(), Date.now()];
  const silent = (facts: PeerFacts): Greeted => ({ facts, aheadMs: null });
  try {
    const headers = { [HOP_HEADER]: sealGreeting(greeter, nonce) };
    const { statusCode, body } = await request(origin + HELLO_PATH, { dispatcher, headers, signal });
    const text = await textOf(body);
    const hello = statusCode === 200 ? readHello(greeter, text, nonce) : null;
    if (hello === null) {
      return silent(
        isReplica(text) ? { state: 'closed' } : { state: 'other', seen: `answers with HTTP ${statusCode}` },
      );
    }
    const { version, isDraining, wallMs } = hello;
    return {
      facts: { state: 'answered', version, isDraining, ms: performance.now() - startedAt },
      aheadMs: Math.round(wallMs - (askedAt + Date.now()) / 2),
    };
  } catch (cause) {
    return silent(signal.aborted ? { state: 'late' } : { state: 'silent', code: codeOf(cause) });
  }
}

/** Whatever it is, it refuses in the words of the listener for replicas. */
function isReplica(text: string): boolean {
  return text.includes('"reason":"hop_refused"');
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const piece of body) {
    text += piece.toString('latin1');
    if (text.length > MAX_CHARS) break;
  }
  return text;
}
