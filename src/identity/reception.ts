// Who may come in, path by path: for each the question that downstream asks of identity, what a refusal asks for, and what
// everybody may read about it. Keeps the keys of issuers over reloads, so that none of them is needed for one.

import type { Config, InboundConfig, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Clock, Journal, Timers } from '../domain/ports.ts';
import { ANYONE, type Principal } from '../domain/principal.ts';
import { type ProtectedResource, protectedResource, resourceMetadata } from '../protocol/protected-resource.ts';
import type { TokenReader } from './access-token.ts';
import { bearerIn, bearerReader } from './bearer.ts';
import { type Asked, challenge } from './challenge.ts';
import { keySetIn } from './key-set.ts';
import type { RemoteKeys } from './remote-keys.ts';

export type Identify = (authorization: string | undefined) => Principal | ProxyError | Promise<Principal | ProxyError>;

export interface Entrance {
  /** An Authorization header → who calls, or why nobody is let in. */
  readonly identify: Identify;
  /** The WWW-Authenticate of a refusal; null: it has none. */
  readonly challenge: (refusal: ProxyError, authorization: string | undefined) => string | null;
}

export interface Entrances {
  /** The way in to a path of the upstream. */
  at(path: string): Entrance;
  /** Documents that are for everybody, by their paths. */
  readonly documents: ReadonlyMap<string, string>;
}

export interface ReceptionOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly journal: Journal;
  /** Seconds since 1970. */
  readonly wallSeconds: () => number;
}

export class Reception {
  readonly #options: ReceptionOptions;
  readonly #remote = new Map<string, RemoteKeys>();

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** Rejects with a ConfigError where a file of keys cannot be used. */
  async entrancesTo(config: Config, upstream: UpstreamConfig): Promise<Entrances> {
    const { inbound } = settingsOf(config, upstream);
    if (inbound === 'none' || 'bearer' in inbound) {
      const identify = identifier(inbound);
      const told: Entrance['challenge'] = (refusal, authorization) =>
        inbound === 'none' ? null : challenge(refusal, authorization, NOTHING_MORE);
      return { at: () => ({ identify, challenge: told }), documents: new Map() };
    }
    const { jwt } = inbound;
    const resources = resourcesOf(config, upstream);
    const identify = tokenIdentifier(await this.#reader(config, upstream, jwt));
    const entrances = new Map(
      [...resources].map(([path, { metadataUrl }]): [string, Entrance] => {
        const asked = { metadataUrl, scopes: jwt.scopes };
        const told: Entrance['challenge'] = (refusal, authorization) => challenge(refusal, authorization, asked);
        return [path, { identify, challenge: told }];
      }),
    );
    return {
      at(path) {
        const entrance = entrances.get(path);
        if (entrance === undefined) throw new Error(`there is no resource at ${path}`);
        return entrance;
      },
      documents: new Map(
        [...resources.values()].map((resource) => [resource.metadataPath, resourceMetadata(resource, jwt)]),
      ),
    };
  }

  close(): void {
    for (const keys of this.#remote.values()) keys.close();
  }

  async #reader(config: Config, upstream: UpstreamConfig, jwt: JwtSection): Promise<TokenReader> {
    // Loaded only then: it takes longer than the rest of identity.
    const { fileKeys, tokenReader } = await import('./access-token.ts');
    const { wallSeconds } = this.#options;
    const find = jwt.jwksFile === undefined ? (await this.#keysAt(jwt)).find : fileKeys(keySetIn(jwt.jwksFile));
    return tokenReader({ ...jwt, audiences: audiencesOf(config, upstream), find, wallSeconds });
  }

  async #keysAt({ jwksUri }: JwtSection): Promise<RemoteKeys> {
    if (jwksUri === undefined) throw new Error('a configuration has one source of keys');
    const loaded = await import('./remote-keys.ts');
    const keys = this.#remote.get(jwksUri.href) ?? new loaded.RemoteKeys({ uri: jwksUri, ...this.#options });
    this.#remote.set(jwksUri.href, keys);
    return keys;
  }
}

type JwtSection = Extract<InboundConfig, { readonly jwt: unknown }>['jwt'];

const NOTHING_MORE: Asked = { metadataUrl: null, scopes: [] };

function identifier(inbound: Exclude<InboundConfig, { readonly jwt: unknown }>): Identify {
  if (inbound === 'none') return () => ANYONE;
  const read = bearerReader(inbound.bearer.keys);
  return (authorization) => {
    if (authorization === undefined) return new ProxyError('unauthorized', 'an Authorization header is needed');
    return read(authorization) ?? new ProxyError('unauthorized', 'the key is not known');
  };
}

function tokenIdentifier(read: TokenReader): Identify {
  return (authorization) => {
    if (authorization === undefined) return new ProxyError('unauthorized', 'an Authorization header is needed');
    const token = bearerIn(authorization);
    return token === null ? new ProxyError('unauthorized', 'the Authorization header holds no token') : read(token);
  };
}

/** The paths that clients dial, each as the resource that it is. */
export function resourcesOf(
  { publicUrl }: Config,
  { path, legacy }: UpstreamConfig,
): ReadonlyMap<string, ProtectedResource> {
  // With tokens it is given, or the configuration is refused.
  if (publicUrl === undefined) return new Map();
  const paths = legacy === false ? [path] : [path, legacy.sse];
  return new Map(paths.map((each) => [each, protectedResource(publicUrl, each)]));
}

/** What the audience of a token must name, one of them. */
export function audiencesOf(config: Config, upstream: UpstreamConfig): readonly string[] {
  const { inbound } = settingsOf(config, upstream);
  if (inbound === 'none' || 'bearer' in inbound) return [];
  return inbound.jwt.audience ?? [...resourcesOf(config, upstream).values()].map(({ url }) => url);
}
