// A TCP relay between the gateway and its upstream that spoils connections at a place of the old transport: before the
// headers of an event stream, before its endpoint event, within an event, or after a POST was taken. It reads no more of
// HTTP than it needs to know the place.

import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Seeded } from '../support/seeded.ts';

export type Toxic =
  /** Every piece comes so much later; with jitter each by another time. */
  | { readonly kind: 'latency' | 'jitter'; readonly ms: number }
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  /** The upstream's end is not passed on until later. */
  | { readonly kind: 'slow close'; readonly ms: number }
  /** Nothing passes any more and nothing is closed, until the relay is healed. */
  | { readonly kind: 'blackhole' }
  /** `bytes`: one at a time. `characters`: cut within every UTF-8 character and between every CR and LF. */
  | { readonly kind: 'slicing'; readonly at: 'bytes' | 'characters' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'data limit'; readonly bytes: number }
  /** Whoever armed it does something; the bytes pass. */
  | { readonly kind: 'none' };

export const PLACES = ['before headers', 'before endpoint', 'mid-event', 'after the 202'] as const;
export type Place = (typeof PLACES)[number];

/** In the texts of tools: an event that holds it is spoiled within this character. */
export const MARK = '€';
const MARK_BYTES = Buffer.from(MARK);
const CALL = Buffer.from('"tools/call"');
const HEAD_END = Buffer.from('\r\n\r\n');

interface Armed {
  readonly toxic: Toxic;
  readonly place: Place;
  readonly onTrip: () => void;
}

export class ToxicRelay {
  /** How often a place was reached. */
  trips = 0;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #random: Seeded;
  #target: number;
  #armed: Armed | null = null;
  /** All that waits for time to pass; healing ends it. */
  #healed = Promise.withResolvers<void>();
  #isEverywhere = false;

  constructor(target: number, random: Seeded) {
    this.#target = target;
    this.#random = random;
    this.#server = createServer((near) => {
      const connection = new Connection(near, this.#target, this);
      this.#connections.add(connection);
      near.on('close', () => this.#connections.delete(connection));
      if (this.#isEverywhere) connection.spoil();
    });
  }

  get random(): Seeded {
    return this.#random;
  }

  get armed(): Armed | null {
    return this.#armed;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Event streams, from the gateway's side. */
  get openStreams(): number {
    return [...this.#connections].filter(({ isStream }) => isStream).length;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** From now on connections are spoiled that come to the place; there is one toxic at a time. */
  arm(toxic: Toxic, place: Place, onTrip: () => void = () => {}): void {
    this.#armed = { toxic, place, onTrip };
  }

  /** Everything passes again. What has lost bytes is closed, since it can make no sense any more. */
  heal(): void {
    this.#armed = null;
    this.#isEverywhere = false;
    this.#healed.resolve();
    this.#healed = Promise.withResolvers();
    for (const connection of this.#connections) connection.heal();
  }

  /** Connections from now on go to another port. */
  retarget(port: number): void {
    this.#target = port;
  }

  async close(): Promise<void> {
    this.heal();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  /** A connection has come to the place. */
  tripped(): void {
    this.trips++;
    this.#armed?.onTrip();
    if (this.#armed?.place !== 'after the 202') return;
    // The POST is over: what is spoiled is where its answer will come, and everything else.
    this.#isEverywhere = true;
    for (const connection of this.#connections) connection.spoil();
  }

  async pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([promise, this.#healed.promise]);
    clearTimeout(timer);
  }
}

class Connection {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #relay: ToxicRelay;
  #kind: 'stream' | 'post' | null = null;
  #hasHeaders = false;
  /** Of the request that is under way. */
  #isCall = false;
  #toxic: Toxic | null = null;
  #bytesLeft = 0;
  #hasLost = false;
  /** What was read is written in its order. */
  #up: Promise<void> = Promise.resolve();
  #down: Promise<void> = Promise.resolve();

  constructor(near: Socket, target: number, relay: ToxicRelay) {
    this.#near = near;
    this.#relay = relay;
    this.#far = connect({ port: target, host: '127.0.0.1', noDelay: true });
    near.setNoDelay(true);
    near.on('error', () => this.#far.destroy());
    near.on('close', () => this.#far.destroy());
    near.on('data', (bytes: Buffer) => {
      this.#up = this.#up.then(() => this.#fromGateway(bytes));
    });
    this.#far.on('data', (bytes: Buffer) => {
      this.#down = this.#down.then(() => this.#fromUpstream(bytes));
    });
    this.#far.on('end', () => this.#over(() => near.end()));
    this.#far.on('error', () => this.#over(() => near.resetAndDestroy()));
    this.#far.on('close', () => this.#over(() => near.end()));
  }

  get isStream(): boolean {
    return this.#kind === 'stream';
  }

  /** What is armed holds here from now on. */
  spoil(): void {
    const toxic = this.#relay.armed?.toxic;
    if (toxic === undefined || this.#toxic !== null) return;
    this.#toxic = toxic;
    switch (toxic.kind) {
      case 'reset':
        this.#near.resetAndDestroy();
        return;
      case 'slow close':
        this.#hasLost = true;
        this.#far.destroy();
        void this.#relay.pause(toxic.ms).then(() => this.#near.destroy());
        return;
      case 'data limit':
        this.#bytesLeft = toxic.bytes;
        return;
      default:
    }
  }

  heal(): void {
    this.#toxic = null;
    if (this.#hasLost) this.destroy();
  }

  destroy(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  #over(pass: () => void): void {
    this.#down = this.#down.then(() => {
      if (this.#toxic?.kind === 'blackhole' || this.#toxic?.kind === 'slow close') this.#hasLost = true;
      else pass();
    });
  }

  async #fromGateway(bytes: Buffer): Promise<void> {
    this.#kind ??= bytes.toString('latin1', 0, 4) === 'GET ' ? 'stream' : 'post';
    // Nobody pipelines here, so a call is wherever its name is.
    if (bytes.toString('latin1', 0, 5) === 'POST ') this.#isCall = false;
    if (bytes.includes(CALL)) this.#isCall = true;
    if (this.#kind === 'stream' && this.#waitsFor('before headers')) this.#trip();
    await this.#write(this.#far, bytes);
  }

  async #fromUpstream(bytes: Buffer): Promise<void> {
    const at = this.#placeIn(bytes);
    if (at === null) {
      await this.#write(this.#near, bytes);
      return;
    }
    await this.#write(this.#near, bytes.subarray(0, at));
    this.#trip();
    await this.#write(this.#near, bytes.subarray(at));
  }

  #waitsFor(place: Place): boolean {
    return this.#toxic === null && this.#relay.armed?.place === place;
  }

  #trip(): void {
    this.spoil();
    this.#relay.tripped();
  }

  /** Where in these bytes the place is that is waited for. */
  #placeIn(bytes: Buffer): number | null {
    if (this.#kind === 'post') {
      const isTaken = this.#isCall && /^HTTP\/1\.1 20\d /.test(bytes.toString('latin1', 0, 13));
      return isTaken && this.#waitsFor('after the 202') ? bytes.length : null;
    }
    if (!this.#hasHeaders) {
      const end = bytes.indexOf(HEAD_END);
      this.#hasHeaders = end !== -1;
      return end !== -1 && this.#waitsFor('before endpoint') ? end + HEAD_END.length : null;
    }
    const mark = bytes.indexOf(MARK_BYTES);
    if (mark === -1 || !this.#waitsFor('mid-event')) return null;
    return mark + 1 + this.#relay.random.below(2);
  }

  async #write(to: Socket, bytes: Buffer): Promise<void> {
    const toxic = this.#toxic;
    if (bytes.length === 0 || to.destroyed) return;
    switch (toxic?.kind) {
      case 'latency':
      case 'jitter':
        await this.#relay.pause(toxic.kind === 'latency' ? toxic.ms : toxic.ms * this.#relay.random.fraction());
        this.#send(to, bytes);
        return;
      case 'bandwidth':
        for (const piece of pieces(bytes, (_, i) => i % 64 === 0)) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          await this.#relay.pause((piece.length / toxic.bytesPerSecond) * 1000);
          this.#send(to, piece);
        }
        return;
      case 'slicing':
        for (const piece of pieces(bytes, toxic.at === 'bytes' ? () => true : isWithin)) {
          this.#send(to, piece);
          // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
          await turn();
        }
        return;
      case 'blackhole':
      case 'slow close':
        this.#hasLost = true;
        return;
      case 'data limit': {
        const passing = bytes.subarray(0, this.#bytesLeft);
        this.#bytesLeft -= passing.length;
        this.#send(to, passing);
        if (passing.length === bytes.length) return;
        this.#near.end();
        this.#far.destroy();
        return;
      }
      default:
        this.#send(to, bytes);
    }
  }

  #send(to: Socket, bytes: Buffer): void {
    if (to.writable) to.write(bytes);
  }
}

/** Cut before every place that is meant. */
function* pieces(bytes: Buffer, isCut: (bytes: Buffer, at: number) => boolean): Generator<Buffer> {
  let from = 0;
  for (let at = 1; at <= bytes.length; at++) {
    if (at < bytes.length && !isCut(bytes, at)) continue;
    yield bytes.subarray(from, at);
    from = at;
  }
}

/** Between CR and LF, or within a character of several bytes. */
function isWithin(bytes: Buffer, at: number): boolean {
  const byte = bytes[at] ?? 0;
  return (byte === 0x0a && bytes[at - 1] === 0x0d) || (byte & 0xc0) === 0x80;
}

export async function startToxicRelay(target: number, random: Seeded): Promise<ToxicRelay> {
  const relay = new ToxicRelay(target, random);
  await relay.start();
  return relay;
}
