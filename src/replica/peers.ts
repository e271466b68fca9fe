// Who the other replicas are: a list, or all addresses of one name. Whoever is none of them is never dialled, whatever a
// token says; and what is dialled is the address that was looked up, not what its name says a moment later.

import { lookup } from 'node:dns/promises';
import { type LookupFunction, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ConfigError } from '../config/load.ts';
import type { PeersConfig } from '../config/schema.ts';
import type { Clock, Timer, Timers } from '../domain/ports.ts';

/** All addresses of a name, of either family. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface PeersOptions {
  readonly config: PeersConfig;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly resolve?: Resolve;
  /** Addresses of this machine. */
  readonly ownAddresses?: () => readonly string[];
}

/** How old what was looked up may be, and how often it is looked up for somebody who is not found. */
const REFRESH_MS = 5000;
const AT_ONCE_MS = 1000;
/** A request waits for it no longer than this; how long the machine's resolver takes to give up is not ours to say. */
const ANSWER_MS = 2000;
/** Names that are nobody's here, between two look-ups: each takes one of the few threads that look names up. */
const MAX_STRANGERS = 16;

interface Entry {
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #resolve: Resolve;
  /** As configured, without ourselves. */
  readonly #entries: readonly Entry[];
  /** Addresses of the names among them. */
  #found: ReadonlyMap<string, readonly string[]> = new Map();
  /** HOST:PORT with addresses alone. */
  #known: ReadonlySet<string> = new Set();
  /** What became of names that others call themselves by, since we looked ourselves. */
  readonly #strangers = new Map<string, Promise<readonly string[]>>();
  #lookedUpAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(options: PeersOptions) {
    const { addresses, dns, self } = options.config;
    this.#options = options;
    this.#resolve = options.resolve ?? allAddresses;
    this.#entries = (addresses ?? [dns ?? self]).filter((text) => text !== self).map(entryOf);
  }

  /** Looks them up for the first time, and from then on. Rejects with a ConfigError where one of them is this process. */
  async start(): Promise<void> {
    await this.#look();
    const { config } = this.#options;
    const mistaken = config.dns === undefined ? this.#entries.find((entry) => this.#isUs(entry)) : undefined;
    if (mistaken !== undefined) {
      throw new ConfigError(
        `peers.addresses: ${mistaken.text} is this replica itself by another name: remove it, or give it as peers.self`,
      );
    }
    this.#lookLater();
  }

  /** Those to be greeted: names of the list, addresses of a name. */
  get all(): readonly string[] {
    if (this.#options.config.dns === undefined) return this.#entries.map(({ text }) => text);
    return [...this.#known].filter((each) => each !== this.#options.config.self && !this.#isUs(entryOf(each)));
  }

  /** The origin to dial for HOST:PORT of an owner; null: that is no replica of ours. */
  find(address: string): string | null | Promise<string | null> {
    const origin = this.#find(address);
    if (origin !== null) return origin;
    const isFresh = this.#options.clock.now() - this.#lookedUpAt < AT_ONCE_MS;
    if (isFresh && isAddress(address)) return null;
    return (isFresh ? Promise.resolve() : this.#look()).then(() => this.#find(address) ?? this.#findByName(address));
  }

  /** For sockets: names of the list have the addresses that were looked up, and nobody else has any. */
  readonly lookup: LookupFunction = (name, { all }, done) => {
    const found = (this.#found.get(name) ?? []).map((address) => ({ address, family: isIP(address) }));
    const [first] = found;
    if (first === undefined) done(Object.assign(new Error('no replica of ours'), { code: 'ENOTFOUND' }), '', 0);
    else if (all === true) done(null, found);
    else done(null, first.address, first.family);
  };

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #find(address: string): string | null {
    const isListed = this.#options.config.dns === undefined && this.#entries.some(({ text }) => text === address);
    return isListed || this.#known.has(address) ? `http://${address}` : null;
  }

  /** One who calls himself by a name, where the list or the DNS has his address. */
  async #findByName(address: string): Promise<string | null> {
    if (isAddress(address)) return null;
    const { host, port } = entryOf(address);
    const own = await this.#ofStranger(host);
    const known = own.map((each) => textOf(each, port)).find((each) => this.#known.has(each));
    return known === undefined ? null : `http://${known}`;
  }

  #ofStranger(host: string): Promise<readonly string[]> {
    const asked = this.#strangers.get(host);
    if (asked !== undefined) return asked;
    if (this.#strangers.size >= MAX_STRANGERS) return Promise.resolve([]);
    const found = this.#addresses(host).catch(() => []);
    this.#strangers.set(host, found);
    return found;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookUp().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #lookUp(): Promise<void> {
    const names = [...new Set(this.#entries.map(({ host }) => host))].filter((host) => isIP(host) === 0);
    const found = await Promise.all(
      names.map(async (name): Promise<[string, readonly string[]]> => {
        // Who cannot be asked has not said that there are none.
        const addresses = await this.#addresses(name).catch((cause: unknown) =>
          isNoName(cause) ? [] : (this.#found.get(name) ?? []),
        );
        return [name, addresses];
      }),
    );
    this.#found = new Map(found);
    this.#known = new Set(
      this.#entries.flatMap(({ host, port }) =>
        (isIP(host) === 0 ? (this.#found.get(host) ?? []) : [host]).map((each) => textOf(each, port)),
      ),
    );
    this.#strangers.clear();
    this.#lookedUpAt = this.#options.clock.now();
  }

  #addresses(name: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.timers.after(ANSWER_MS, () => reject(new Error('the resolver does not answer')));
      void this.#resolve(name)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.timers.after(REFRESH_MS, () => void this.#look().then(() => this.#lookLater()));
  }

  /** It has an address of this machine, and the port that we listen on. */
  #isUs({ host, port }: Entry): boolean {
    const { config, ownAddresses = addressesHere } = this.#options;
    if (port !== config.port) return false;
    const here = ownAddresses();
    return (isIP(host) === 0 ? (this.#found.get(host) ?? []) : [host]).some((each) => here.includes(each));
  }
}

function entryOf(text: string): Entry {
  const at = text.lastIndexOf(':');
  return { text, host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

function textOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isAddress(text: string): boolean {
  return isIP(entryOf(text).host) !== 0;
}

function isNoName(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOTFOUND';
}

async function allAddresses(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}

function addressesHere(): string[] {
  return Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address));
}
