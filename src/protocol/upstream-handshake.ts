// What our initialize toward an upstream says, and what its answer means.

import { createHash } from 'node:crypto';
import { ProxyError } from '../domain/errors.ts';
import { type UpstreamRevision, isUpstreamRevision } from './eras.ts';
import { type Answer, bytesOf, encode, joined, membersOf, ownMessage, parsed } from './json-rpc.ts';
import type { ObjectView } from './json-scanner.ts';

export interface HandshakeOffer {
  readonly revision: UpstreamRevision;
  /** The bytes of `capabilities`: what can be carried to whoever will use the link. */
  readonly capabilities: Uint8Array;
  /** The bytes of `clientInfo`: the client's own on a dedicated link, ours on a pooled one. */
  readonly clientInfo: Uint8Array;
}

export interface Handshake {
  /** What the upstream answered: the revision is its choice, and features follow it. */
  readonly revision: UpstreamRevision;
  /** The whole answer, for sessions that pass it on. */
  readonly answer: Answer & { readonly kind: 'result' };
  /** The bytes of `serverInfo`; null when it is not what every client would accept as one. */
  readonly serverInfo: Uint8Array | null;
  /** For logs. */
  readonly server: string;
  readonly offers: ServerOffers;
}

/** Which optional things the upstream says it can do. */
export interface ServerOffers {
  readonly logging: boolean;
  readonly completions: boolean;
  readonly subscribe: boolean;
  /** What it has lists of. */
  readonly lists: readonly ListKind[];
  /** Of those, the ones whose changes it tells. */
  readonly listChanges: readonly ListKind[];
  /** Who it is and what it can do, as its bytes: another text is another server. */
  readonly identity: string;
}

export const LIST_KINDS = ['tools', 'prompts', 'resources'] as const;
export type ListKind = (typeof LIST_KINDS)[number];

export function initializeRequest(id: number, offer: HandshakeOffer): Uint8Array {
  return joined(
    encode(
      `{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{"protocolVersion":"${offer.revision}","capabilities":`,
    ),
    offer.capabilities,
    encode(',"clientInfo":'),
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
  const view = membersOf(answer, answer.result, READ_MEMBERS);
  if (view === null) {
    throw new ProxyError(
      'initialize_failed',
      'the upstream’s answer to initialize is no object, or names a member twice that is read',
    );
  }
  const result = parsed(answer.bytes, answer.result);
  // An object: its members were just looked up.
  const { protocolVersion, serverInfo, capabilities } = result as Record<string, unknown>;
  if (!isUpstreamRevision(protocolVersion)) {
    throw new ProxyError('upstream_version', `the upstream insists on an unknown protocol revision`);
  }
  return {
    revision: protocolVersion,
    answer,
    serverInfo: serverInfoOf(answer, view, serverInfo),
    server: serverName(serverInfo),
    offers: { ...offersOf(capabilities), identity: identityOf(answer, view) },
  };
}

const READ_MEMBERS = new Set(['protocolVersion', 'capabilities', 'serverInfo']);

function offersOf(capabilities: unknown): Omit<ServerOffers, 'identity'> {
  const given: Record<string, unknown> = isObject(capabilities) ? { ...capabilities } : {};
  const { resources } = given;
  return {
    logging: isObject(given['logging']),
    completions: isObject(given['completions']),
    subscribe: isObject(resources) && 'subscribe' in resources && resources.subscribe === true,
    lists: LIST_KINDS.filter((kind) => isObject(given[kind])),
    listChanges: LIST_KINDS.filter((kind) => {
      const offered = given[kind];
      return isObject(offered) && 'listChanged' in offered && offered.listChanged === true;
    }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function serverInfoOf(answer: Answer, view: ObjectView, info: unknown): Uint8Array | null {
  const member = view.members.get('serverInfo');
  // [spec 2026-07-28 schema] "The Implementation schema requires name and version".
  const isComplete = isObject(info) && 'name' in info && 'version' in info;
  const isText = isComplete && typeof info.name === 'string' && typeof info.version === 'string';
  return member?.kind === 'object' && isText ? bytesOf(answer.bytes, member) : null;
}

function identityOf(answer: Answer, view: ObjectView): string {
  const hash = createHash('sha256');
  for (const name of ['serverInfo', 'capabilities']) {
    const member = view.members.get(name);
    hash.update(member === undefined ? NOTHING : bytesOf(answer.bytes, member)).update('\n');
  }
  return hash.digest('base64url');
}

const NOTHING = new Uint8Array(0);

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
