// A document of an issuer or of ourselves as others see it: fetched once, bounded in size, and in time by the signal that all
// questions share. Redirects are not followed, and nobody's credentials are sent.

import { Client } from 'undici';
import { MIN_TLS_VERSION } from '../domain/tls-version.ts';
import { codeOf } from '../upstream/network-error.ts';
import { orLate } from './bounded.ts';
import type { Fetched } from './oauth-findings.ts';

/** The text of a document, and what else its answer says. */
export type Document = Fetched & { readonly aheadMs?: number | null };

const MAX_BYTES = 256 * 1024;

export async function fetched(url: URL, signal: AbortSignal): Promise<Document> {
  const startedAt = performance.now();
  // TLS is verified whatever NODE_TLS_REJECT_UNAUTHORIZED says.
  const client = new Client(url.origin, { connect: { rejectUnauthorized: true, minVersion: MIN_TLS_VERSION } });
  try {
    return await orLate(answer(client, url, startedAt), { state: 'late' }, signal);
  } finally {
    // Destroying what has broken already rejects.
    await client.destroy().catch(() => {});
  }
}

async function answer(client: Client, url: URL, startedAt: number): Promise<Document> {
  const passed = (): number => performance.now() - startedAt;
  try {
    const { statusCode, headers, body } = await client.request({
      path: url.pathname + url.search,
      method: 'GET',
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
    });
    const aheadMs = ahead(headers, Date.now());
    body.on('error', () => {});
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_BYTES) return { state: 'failed', why: `over ${MAX_BYTES / 1024} KiB`, ms: passed(), aheadMs };
    }
    const text = Buffer.concat(pieces).toString();
    return { state: 'answered', status: statusCode, text, ms: passed(), aheadMs };
  } catch (cause) {
    return { state: 'failed', why: codeOf(cause), ms: passed() };
  }
}

/** How far the clock of whoever answered is ahead; null: it does not say. */
export function ahead(headers: Readonly<Record<string, unknown>>, nowMs: number): number | null {
  const at = Date.parse(String(headers['date']));
  // [RFC 9111 5.1] of what a cache has kept: how long ago it was said.
  const ageMs = 1000 * Number(headers['age'] ?? 0);
  // Cut to a whole second: half of one more is the best guess.
  return Number.isFinite(at) && Number.isFinite(ageMs) ? at + 500 + ageMs - nowMs : null;
}
