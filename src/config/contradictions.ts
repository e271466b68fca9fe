// What is right by itself and must not be said together: one of the two would be a surprise to somebody.

import { hasOwn, hasUser, isDecidedBehind } from './outbound.ts';
import type { Config, UpstreamConfig } from './schema.ts';
import { settingsOf } from './settings.ts';
import type { Problem } from './validate.ts';

export function contradictions(config: Config): Problem[] {
  return [
    ...withoutSecret(config),
    ...config.upstreams.flatMap((upstream, index) => ofUpstream(upstream, index, config)),
  ];
}

/** What one replica has sealed the others must be able to open. */
function withoutSecret({ secrets, peers, store }: Config): Problem[] {
  if (secrets !== undefined || (peers === undefined && store === undefined)) return [];
  const [key, why] =
    peers === undefined
      ? ['store', 'what is kept there could be read by this process alone']
      : ['peers', 'no replica could read what another has sealed'];
  const message = `needs secrets.current, the same for all replicas: without it ${why}; make one with \`openssl rand -base64 32\``;
  return [{ path: [key], at: 'key', message }];
}

function ofUpstream(upstream: UpstreamConfig, index: number, config: Config): Problem[] {
  return wrongWith(upstream, config).map(({ key, message }): Problem => {
    return { path: ['upstreams', index, ...key], at: 'value', message };
  });
}

interface Wrong {
  readonly key: readonly string[];
  readonly message: string;
}

function wrongWith(upstream: UpstreamConfig, config: Config): Wrong[] {
  return [...crowded(upstream, config), ...wrongCredentials(upstream, config)];
}

/** Each replica has a connection of its own, and the server survives one. */
function crowded(upstream: UpstreamConfig, config: Config): Wrong[] {
  if (config.peers === undefined || settingsOf(config, upstream).links.single !== true) return [];
  const message =
    'is true, and each replica would open a connection of its own to a server that survives one: serve it by a gateway without peers';
  return [{ key: ['links', 'single'], message }];
}

function wrongCredentials(upstream: UpstreamConfig, config: Config): Wrong[] {
  const { inbound, links } = settingsOf(config, upstream);
  const { outbound, headers, urls, allowEndpointOrigins, messageUrl } = upstream;
  const key = ['outbound'];
  if (outbound === 'none' && hasOwn(upstream)) {
    const where = 'in headers, url (also as a parameter) or tls.key';
    return [{ key, message: `says none, but there are credentials ${where}: remove them, or say headers` }];
  }
  if (outbound === 'headers' && !hasOwn(upstream)) {
    return [{ key, message: 'says headers, and there are none: name them in headers' }];
  }
  if (typeof outbound === 'string') return [];
  const wrong: Wrong[] = [];
  const refuse = (message: string): void => void wrong.push({ key: ['outbound', 'forward'], message });
  const own = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  if (urls.some(hasUser)) own.add('authorization');
  for (const name of outbound.forward) {
    if (own.has(name)) refuse(`holds ${name}, which headers or url set, too: it can be the caller’s or ours`);
  }
  // [spec 2025-11-25 authorization] "The MCP server MUST NOT pass through the token it received from the MCP client."
  if (inbound !== 'none' && isDecidedBehind(upstream)) {
    refuse(
      'holds authorization, which is for this gateway where inbound asks for it: what opens it must not be given to another; forward another header, or say inbound: none and let the server decide (then, on a public address, without secrets of ours in headers or url)',
    );
  }
  if (links.single === true) {
    refuse('cannot go with links.single: callers with credentials of their own must not share a link');
  }
  const origins = new Set(urls.map(({ origin }) => origin));
  const elsewhere = [...allowEndpointOrigins, ...(messageUrl === undefined ? [] : [messageUrl])];
  if (elsewhere.some(({ origin }) => !origins.has(origin))) {
    refuse('goes to the origin of url alone: remove what allowEndpointOrigins and messageUrl add to it');
  }
  return wrong;
}
