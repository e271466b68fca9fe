// File descriptors: a session holds its link's stream, its client's socket and its client's own stream, and while it opens
// two POSTs (initialize may still be unanswered when initialized is sent); every call in flight holds one POST; the stream
// of an old client is a socket on either side, as is what is passed on to another replica.

import { readFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';

/** Log, event loop, listener, DNS and the like. */
const OWN = 64;

export interface DescriptorShortage {
  readonly needed: number;
  readonly limit: number;
}

/** What the configuration can come to hold open at once. */
export function descriptorsNeeded(config: Config): number {
  const { limits } = config;
  const each = config.upstreams.map((upstream) => ({ ...settingsOf(config, upstream), legacy: upstream.legacy }));
  const dedicated = sum(each, ({ links }) => links.maxDedicated);
  const sessions = Math.min(limits.sessions, dedicated);
  // Beside the link: the client's socket, its open stream and two POSTs. Pooled callers: a socket and a POST, as many as links can carry.
  const pooled = sum(each, ({ links }) => links.maxTotal * links.maxInFlight);
  const passed = sum(each, (of) => (of.legacy === false ? 0 : of.limits.passthroughStreams));
  const links = dedicated + sum(each, ({ links: { maxTotal } }) => maxTotal);
  // Where a balancer sends clients anywhere, as many streams of other replicas' sessions come here as of ours go there.
  const hops = config.peers === undefined ? 0 : sessions;
  return OWN + links + 4 * sessions + 2 * hops + 2 * Math.min(pooled, limits.inFlight) + 2 * passed;
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}

/** Null where the limit suffices or is not known. */
export function descriptorShortage(
  config: Config,
  limit: number | null = descriptorLimit(),
): DescriptorShortage | null {
  const needed = descriptorsNeeded(config);
  return limit !== null && limit < needed ? { needed, limit } : null;
}

/** For a warm link, the socket of a caller and his POST of each upstream: below it nothing works. */
export function descriptorsLeast(config: Config): number {
  const warm = sum(config.upstreams, (upstream) => settingsOf(config, upstream).links.min);
  return OWN + warm + 2 * config.upstreams.length;
}

/** The soft limit, which Node has raised to the hard one at its start. Linux only. */
export function descriptorLimit(): number | null {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? null : soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return null;
  }
}
