// What clients connect to. It stays for the life of the process, and its connections with it; who answers on it can be
// replaced, and what has begun is ended by whom it was begun.

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TimeoutConfig } from '../config/schema.ts';
import type { Journal } from '../domain/ports.ts';
import type { Certificate } from '../edge/certificate.ts';
import { createHttpServer, renewCertificate, setTimeouts } from '../edge/http-server.ts';
import { Tally } from '../traffic/tally.ts';
import { type SocketState, refuseHandshake, refuseRaw } from './error-reply.ts';

/** Turns of the loop in which nobody came: then nobody waits. */
const QUIET_TURNS = 3;
const MAX_TURNS = 1000;

export class Listener {
  /** Everything that is being written to a client, streams included. */
  readonly responses = new Tally();
  readonly #journal: Journal;
  readonly #servers: Server[] = [];
  #timeouts: TimeoutConfig;
  /** Null: it speaks plain HTTP. */
  #certificate: Certificate | null;
  #answer: RequestListener | null = null;
  /** So many were taken in. */
  #connections = 0;
  /** Of each socket the exchange of request and response that is under way on it. */
  readonly #underWay = new WeakMap<Duplex, { readonly request: IncomingMessage; readonly response: ServerResponse }>();

  constructor(timeouts: TimeoutConfig, certificate: Certificate | null, journal: Journal) {
    this.#timeouts = timeouts;
    this.#certificate = certificate;
    this.#journal = journal;
  }

  /** From now on requests are answered by this one, and clients get so much time. */
  answerWith(answer: RequestListener, timeouts: TimeoutConfig): void {
    this.#answer = answer;
    this.#timeouts = timeouts;
    for (const server of this.#servers) setTimeouts(server, timeouts);
  }

  /** Shown from now on, where one is shown at all. Connections that are there stay. */
  renew(certificate: Certificate | null): void {
    this.#certificate = certificate;
    for (const server of this.#servers) renewCertificate(server, certificate);
  }

  /** Rejects when the address cannot be had. */
  async listen({ host, port }: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    const address = await this.#bind(host, port);
    if (host !== 'localhost') return address;
    // It has two addresses, and clients try them in an order of their own.
    const all = await lookup(host, { all: true }).catch(() => []);
    const others = all.filter((each) => each.address !== address.address);
    await Promise.all(others.map((each) => this.#bind(each.address, address.port).catch(() => null)));
    return address;
  }

  /** No new connections. Those that are there stay, the idle ones too: an answer may still be on its way to them. */
  async stopAccepting(): Promise<void> {
    await this.#tookAllIn();
    // The listener alone. The close of http.Server would also end the connections that it takes for idle, and to it those
    // are idle whose answer still waits in the socket to be taken.
    for (const server of this.#servers) NetServer.prototype.close.call(server);
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        return new Promise<void>((resolve) => {
          // Called as well where it does not listen any more, once the last connection is gone.
          server.close(() => resolve());
          server.closeAllConnections();
        });
      }),
    );
  }

  /** The system takes connections before we do, and resets those that wait for us when we end. */
  async #tookAllIn(): Promise<void> {
    let [quiet, before] = [0, this.#connections];
    for (let turn = 0; turn < MAX_TURNS && quiet < QUIET_TURNS; turn++) {
      // oxlint-disable-next-line no-await-in-loop -- each turn of the loop takes in one
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      quiet = this.#connections === before ? quiet + 1 : 0;
      before = this.#connections;
    }
  }

  async #bind(host: string, port: number): Promise<AddressInfo> {
    const server = createHttpServer(this.#certificate, this.#timeouts, (request, response) => {
      this.#take(request, response);
    });
    // Before Node's own listener, which takes it for a request that cannot be read.
    server.prependListener('tlsClientError', (error, socket) => refuseHandshake(socket, this.#journal, error));
    server.on('clientError', (error, socket) => refuseRaw(socket, this.#journal, error, this.#stateOf(socket)));
    // Of a CONNECT the socket is handed over bare: without a listener of our own its errors would end the process.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => {});
      refuseRaw(socket, this.#journal, Object.assign(new Error('CONNECT'), { code: 'CONNECT' }), {
        hasHeaders: true,
        answering: null,
        isComplete: true,
      });
    });
    server.on('connection', () => this.#connections++);
    server.listen({ host, port });
    await once(server, 'listening');
    this.#servers.push(server);
    // A TCP listener's address is an object; only pipes have strings.
    return server.address() as AddressInfo;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#underWay.set(socket, { request, response });
    this.responses.begin();
    response.on('close', () => {
      this.responses.end();
      if (this.#underWay.get(socket)?.response === response) this.#underWay.delete(socket);
    });
    this.#answer?.(request, response);
  }

  #stateOf(socket: Duplex): SocketState {
    const current = this.#underWay.get(socket);
    return {
      hasHeaders: current !== undefined,
      answering:
        current !== undefined && (current.request.complete || current.response.headersSent) ? current.response : null,
      isComplete: current?.request.complete === true,
    };
  }
}
