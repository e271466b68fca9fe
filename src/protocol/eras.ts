// The dated revisions of MCP, which era each belongs to, and how a revision is agreed on.

/** Served to clients by `initialize`, newest first. 2024-11-05 has no Streamable HTTP, so no client can speak it here. */
export const SERVED_REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type ServedRevision = (typeof SERVED_REVISIONS)[number];

/** Understood from an upstream: the transport does not fix the revision. */
export const UPSTREAM_REVISIONS = [...SERVED_REVISIONS, '2024-11-05'] as const;
export type UpstreamRevision = (typeof UPSTREAM_REVISIONS)[number];

export const LATEST_REVISION: ServedRevision = '2025-11-25';

export function isServed(revision: string): revision is ServedRevision {
  return SERVED_REVISIONS.some((served) => served === revision);
}

export function isUpstreamRevision(revision: unknown): revision is UpstreamRevision {
  return UPSTREAM_REVISIONS.some((known) => known === revision);
}

/**
 * What `initialize` answers to the revision that a client asks for.
 * [spec 2025-11-25 lifecycle] "If the server supports the requested protocol version, it MUST respond with the same
 * version. Otherwise, the server MUST respond with another protocol version it supports."
 */
export function negotiate(requested: string): ServedRevision {
  return isServed(requested) ? requested : LATEST_REVISION;
}

/** [spec 2025-06-18 transports] the MCP-Protocol-Version header exists from 2025-06-18 on. */
export function wantsVersionHeader(revision: UpstreamRevision): boolean {
  return revision >= '2025-06-18';
}

/** Served to clients that send all they have to say with every request. */
export const MODERN_REVISION = '2026-07-28';

/** All that a URL serves, newest first: what discover says, and an error about a revision that is not among them. */
export const ALL_REVISIONS: readonly string[] = [MODERN_REVISION, ...SERVED_REVISIONS];

export function isModern(revision: string): boolean {
  return revision === MODERN_REVISION;
}

/** The `_meta` keys of the modern era. By the presence of the first such a request is recognised. */
export const MODERN_META = {
  version: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const;
