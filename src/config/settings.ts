// What goes for one upstream: the configuration as a whole, with the upstream's own values in place of the general ones.

import type { Config, UpstreamConfig } from './schema.ts';

export function settingsOf(config: Config, upstream: UpstreamConfig): Config {
  return {
    ...config,
    inbound: upstream.inbound ?? config.inbound,
    heartbeat: upstream.heartbeat ?? config.heartbeat,
    links: over(config.links, upstream.links),
    timeouts: over(config.timeouts, upstream.timeouts),
    limits: over(config.limits, upstream.limits),
    streams: over(config.streams, upstream.streams),
    reconnect: over(config.reconnect, upstream.reconnect),
  };
}

type Own<Section> = { readonly [Key in keyof Section]?: Section[Key] | undefined };

function over<Section extends object>(general: Section, own: Own<Section> | undefined): Section {
  const given = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return { ...general, ...Object.fromEntries(given) };
}
