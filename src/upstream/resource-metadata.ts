// The metadata document of an upstream that is an OAuth protected resource: from the origin of its URL and nowhere else,
// with nobody's credentials, bounded in size and time.

import { type Dispatcher, request } from 'undici';
import { ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Timers } from '../domain/ports.ts';
import { ROOT_METADATA, protectedResource } from '../protocol/protected-resource.ts';
import { isJson } from '../protocol/headers.ts';
import { connectError } from './network-error.ts';

export interface MetadataSource {
  readonly sseUrl: URL;
  readonly dispatcher: Dispatcher;
  readonly timers: Timers;
  readonly timeoutMs: number;
}

const MAX_BYTES = 64 * 1024;

/** The document as it stands there; null: there is none. Rejects with a ProxyError. */
export async function upstreamMetadata(source: MetadataSource): Promise<string | null> {
  const { sseUrl, timers, timeoutMs } = source;
  const late = new AbortController();
  const timer = timers.after(timeoutMs, () => late.abort());
  try {
    // [RFC 9728 3.1] that of the resource itself; a server that has one resource only may have it at the root.
    const { metadataUrl } = protectedResource(new URL(sseUrl.origin), sseUrl.pathname);
    const own = await document(new URL(metadataUrl), source, late.signal);
    return own ?? (await document(new URL(ROOT_METADATA, sseUrl.origin), source, late.signal));
  } catch (cause) {
    if (!late.signal.aborted) throw cause instanceof ProxyError ? cause : connectError(cause);
    const text = 'the upstream did not come to the end of its metadata document in time';
    throw overLimit('upstream_headers_timeout', 'timeouts.headers', text, { cause });
  } finally {
    timer.cancel();
  }
}

async function document(url: URL, { dispatcher }: MetadataSource, signal: AbortSignal): Promise<string | null> {
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    signal,
    headers: { accept: 'application/json', 'accept-encoding': 'identity' },
  });
  // What redirects, too: nothing that an upstream says makes us open another URL.
  if (statusCode !== 200 || !isJson(headers['content-type']?.toString())) {
    body.on('error', () => {}).destroy();
    return null;
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) {
      throw new ProxyError('upstream_result_invalid', `the upstream’s metadata document is over ${MAX_BYTES} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
