// The sockets to other replicas. As many as it takes: requests are counted before they come here.

import { Agent } from 'undici';
import type { Peers } from './peers.ts';

/** They are near: one that takes longer to accept is not there. */
const CONNECT_MS = 1000;

export function peerAgent({ lookup }: Pick<Peers, 'lookup'>): Agent {
  return new Agent({
    connections: null,
    // No sooner is a connection without use given up than by the other side, which says when.
    keepAliveMaxTimeout: 60_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS, keepAlive: true, keepAliveInitialDelay: 30_000, lookup },
  });
}
