// Upstreams that get credentials of callers (outbound.forward): which headers of a request those are, how callers are told
// apart by them, and what callers are told when one is refused.
//
// Without authentication of ours the credential is all that is known of a caller, so it is a part of who that is: another
// one is another caller, who finds no session and no state of the first. With it a caller may come with a new credential,
// as one whose token was renewed does.

import { type KeyObject, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { ProxyError } from '../domain/errors.ts';
import type { Clock, Timers } from '../domain/ports.ts';
import { ANYONE, type Principal } from '../domain/principal.ts';
import { type ProtectedResource, metadataOf, protectedResource } from '../protocol/protected-resource.ts';
import { type RefusalOf, credentialRefusal } from '../upstream/credential-refusal.ts';
import { upstreamMetadata } from '../upstream/resource-metadata.ts';

export interface ForwardingOptions {
  /** In lower case. */
  readonly names: readonly string[];
  /**
   * Of this process, or its replicas, alone: nobody else can tell from a fingerprint whether it is that of a credential. At
   * the moment: with another one all are other callers.
   */
  readonly fingerprintKey: () => KeyObject;
  /** As it is configured at the moment. */
  readonly publicUrl: () => URL | undefined;
  readonly sseUrl: URL;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly timeoutMs: number;
}

/**
 * Everybody may ask for metadata, as often as he likes: how long what the upstream said of them is good, that there are none
 * too, and how long it is left alone when it could not be asked.
 */
const METADATA_KEPT_MS = 30_000;
const FAILURE_KEPT_MS = 5000;

export class Forwarding {
  /** In lower case. */
  readonly names: readonly string[];
  readonly #options: ForwardingOptions;
  /** One attempt for all who ask at the same time, and for those after them until it is old. */
  #metadata: { readonly asked: Promise<string | null>; until: number } | null = null;

  constructor(options: ForwardingOptions) {
    this.#options = options;
    this.names = options.names;
  }

  /** The caller of a request with these headers. */
  caller(principal: Principal, headers: IncomingHttpHeaders): Principal {
    const given = this.names.flatMap((name): [string, string][] => {
      const value = headers[name];
      return value === undefined ? [] : [[name, String(value)]];
    });
    // Whoever sends none is told by the upstream what it wants.
    if (given.length === 0) return principal;
    const fingerprint = createHmac('sha256', this.#options.fingerprintKey())
      .update(JSON.stringify(given))
      .digest('base64url');
    const credential = { headers: Object.fromEntries(given), fingerprint };
    if (principal.key !== ANYONE.key) return { ...principal, credential };
    return { ...principal, key: `${ANYONE.key}:${fingerprint}`, inboundKey: ANYONE.key, credential };
  }

  /** `path`: where the client came in. */
  refusalOf(path: string): RefusalOf {
    return credentialRefusal(this.names, () => this.resource(path, this.#options.publicUrl())?.metadataUrl ?? null);
  }

  /** Of what is served at a path, for clients that look for a token; null where that would be of no use. */
  resource(path: string, publicUrl: URL | undefined): ProtectedResource | null {
    const isOfUse = this.names.includes('authorization');
    return publicUrl === undefined || !isOfUse ? null : protectedResource(publicUrl, path);
  }

  /** The upstream's metadata as that of our resource. Rejects with a ProxyError. */
  async metadata({ url }: ProtectedResource): Promise<string> {
    const theirs = await this.#upstreamMetadata();
    if (theirs === null)
      throw new ProxyError('path_unknown', 'the server behind has no metadata of a protected resource');
    const ours = metadataOf(theirs, url);
    if (ours !== null) return ours;
    throw new ProxyError('upstream_result_invalid', 'the upstream’s metadata document is none');
  }

  #upstreamMetadata(): Promise<string | null> {
    const { clock } = this.#options;
    if (this.#metadata !== null && clock.now() < this.#metadata.until) return this.#metadata.asked;
    // It comes to its end: it has a time of its own.
    const metadata = { asked: upstreamMetadata(this.#options), until: Number.POSITIVE_INFINITY };
    const keepFor = (ms: number): void => void (metadata.until = clock.now() + ms);
    metadata.asked.then(
      () => keepFor(METADATA_KEPT_MS),
      () => keepFor(FAILURE_KEPT_MS),
    );
    this.#metadata = metadata;
    return metadata.asked;
  }
}
