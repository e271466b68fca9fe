// What our initialize toward an upstream says, and what its answer means.

import { ProxyError } from '../domain/errors.ts';
import { type CapabilityProfile, declaredCapabilities } from './capability-profile.ts';
import { type UpstreamRevision, isUpstreamRevision } from './eras.ts';
import { type Answer, encode, joined, membersOf, ownMessage, parsed } from './json-rpc.ts';

export interface HandshakeOffer {
  readonly revision: UpstreamRevision;
  readonly profile: CapabilityProfile;
  /** The bytes of `clientInfo`: the client's own on a dedicated link, ours on a pooled one. */
  readonly clientInfo: Uint8Array;
}

export interface Handshake {
  /** What the upstream answered: the revision is its choice, and features follow it. */
  readonly revision: UpstreamRevision;
  /** The whole answer, for sessions that pass it on. */
  readonly answer: Answer & { readonly kind: 'result' };
  /** For logs. */
  readonly server: string;
}

export function initializeRequest(id: number, offer: HandshakeOffer): Uint8Array {
  const capabilities = JSON.stringify(declaredCapabilities(offer.profile));
  return joined(
    encode(
      `{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{"protocolVersion":"${offer.revision}",` +
        `"capabilities":${capabilities},"clientInfo":`,
    ),
    offer.clientInfo,
    encode('}}'),
  );
}

export const INITIALIZED = ownMessage({ method: 'notifications/initialized' });

/**
 * Throws a ProxyError when the link cannot be used.
 * [spec 2025-11-25 lifecycle] "If the client does not support the version in the server's response, it SHOULD disconnect."
 */
export function readInitializeAnswer(answer: Answer): Handshake {
  if (answer.kind === 'error') {
    // Without its code and text: clients are known that look for numbers in ours.
    throw new ProxyError('initialize_failed', 'the upstream answered initialize with an error');
  }
  // What the client of a session is told is put into these bytes, so the member must be there once.
  if (membersOf(answer, answer.result, new Set(['protocolVersion'])) === null) {
    throw new ProxyError(
      'initialize_failed',
      'the upstream’s answer to initialize is no object, or names protocolVersion twice',
    );
  }
  const result = parsed(answer.bytes, answer.result);
  // An object: its members were just looked up.
  const { protocolVersion, serverInfo } = result as { protocolVersion?: unknown; serverInfo?: unknown };
  if (!isUpstreamRevision(protocolVersion)) {
    throw new ProxyError('upstream_version', `the upstream insists on an unknown protocol revision`);
  }
  return { revision: protocolVersion, answer, server: serverName(serverInfo) };
}

function serverName(info: unknown): string {
  if (typeof info !== 'object' || info === null) return 'unknown';
  const { name, version } = info as { name?: unknown; version?: unknown };
  return (
    [name, version]
      .filter((part) => typeof part === 'string')
      .join(' ')
      .slice(0, 200) || 'unknown'
  );
}
