// Two configurations → what a reload has to do: which upstreams stay as they are, and what cannot change while the process
// runs. An upstream stays whose own settings and whose share of the general ones say the same as before.

import { KEYS } from './keys.ts';
import type { Config, UpstreamConfig } from './schema.ts';
import { settingsOf } from './settings.ts';

export interface Difference {
  /** What goes from now on: the new one, with the old values of what needs a restart. */
  readonly config: Config;
  /** Names of upstreams. */
  readonly kept: readonly string[];
  readonly replaced: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Keys that have another value now, outside the upstreams or without replacing one. */
  readonly changed: readonly string[];
  /** Those that would have one after a restart. */
  readonly needsRestart: readonly string[];
}

/** The sections of which each upstream has its share. */
const SHARED = ['heartbeat', 'links', 'timeouts', 'limits', 'streams', 'reconnect'] as const;
/** Settled at the listener: it changes without the upstream being replaced. */
const OF_LISTENER = ['inbound'];

const WIDE = KEYS.filter(({ node }) => node['x-wide'] === true).map(({ path }) => path);
const GENERAL = KEYS.filter(({ path }) => path[0] !== 'upstreams');

export function difference(before: Config, after: Config): Difference {
  const different = GENERAL.filter(({ path }) => !isSame(valueAt(before, path), valueAt(after, path)));
  // Of `inbound` and `inbound.bearer.keys` the one that says more.
  const told = different.filter(({ name }) => !different.some((other) => other.name.startsWith(`${name}.`)));
  const isLive = ({ node }: (typeof KEYS)[number]): boolean => node['x-live'] !== false;
  const config = different
    .filter((key) => !isLive(key))
    // The same keys at the same places: still a configuration.
    .reduce<unknown>((value, { path }) => withOld(value, before, path), after) as Config;
  // What could change alone goes with its section where that needs a restart.
  const isTaken = ({ path }: (typeof KEYS)[number]): boolean => !isSame(valueAt(before, path), valueAt(config, path));
  const old = new Map(before.upstreams.map((upstream) => [upstream.name, upstream]));
  const names = config.upstreams.map(({ name }) => name);
  const kept = config.upstreams.filter((upstream) => {
    const earlier = old.get(upstream.name);
    return earlier !== undefined && isSame(shareOf(before, earlier), shareOf(config, upstream));
  });
  const isKept = new Set(kept.map(({ name }) => name));
  return {
    config,
    kept: [...isKept],
    replaced: names.filter((name) => old.has(name) && !isKept.has(name)),
    added: names.filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !names.includes(name)),
    changed: [...told.filter(isTaken).map(({ name }) => name), ...changedOf(config.upstreams, old)],
    needsRestart: told.filter((key) => !isTaken(key)).map(({ name }) => name),
  };
}

function changedOf(upstreams: Config['upstreams'], old: ReadonlyMap<string, UpstreamConfig>): string[] {
  return upstreams.flatMap(({ name, inbound }) => {
    const earlier = old.get(name);
    return earlier === undefined || isSame(inbound, earlier.inbound) ? [] : [`upstreams.${name}.inbound`];
  });
}

/** All that is settled for one upstream, wherever that is said. */
function shareOf(config: Config, upstream: UpstreamConfig): unknown {
  const settings = settingsOf(config, upstream);
  const shared: unknown = Object.fromEntries(SHARED.map((section) => [section, settings[section]]));
  const own = Object.fromEntries(
    Object.entries(upstream).filter(([name]) => ![...SHARED, ...OF_LISTENER].includes(name)),
  );
  return [own, WIDE.reduce((value, path) => without(value, path), shared)];
}

/** A copy in which the value at this place is that of `old`; a section that only one of them has goes as a whole. */
function withOld(value: unknown, old: unknown, [step = '', ...rest]: readonly string[]): unknown {
  if (!isSection(value)) return value;
  const [own, earlier] = [value[step], isSection(old) ? old[step] : undefined];
  const isDeeper = rest.length > 0 && isSection(own) && isSection(earlier);
  return { ...value, [step]: isDeeper ? withOld(own, earlier, rest) : earlier };
}

function without(value: unknown, [step = '', ...rest]: readonly string[]): unknown {
  return isSection(value) ? { ...value, [step]: rest.length > 0 ? without(value[step], rest) : undefined } : value;
}

function valueAt(within: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, step) => (isSection(value) ? value[step] : undefined), within);
}

/** URLs count by their text; what is not given is not there; of keys the order says nothing. */
function isSame(left: unknown, right: unknown): boolean {
  return textOf(left) === textOf(right);
}

function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (_, each: unknown) =>
    isSection(each) ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1))) : each,
  );
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
