// What clients connect to. It stays for the life of the process, and its connections with it; who answers on it can be
// replaced, and what has begun is ended by whom it was begun.

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TimeoutConfig } from '../config/schema.ts';
import type { Journal } from '../domain/ports.ts';
import { oneAtATime } from '../edge/one-at-a-time.ts';
import { Tally } from '../traffic/tally.ts';
import { type SocketState, refuseRaw } from './error-reply.ts';

export class Listener {
  /** Everything that is being written to a client, streams included. */
  readonly responses = new Tally();
  readonly #journal: Journal;
  readonly #servers: Server[] = [];
  #timeouts: TimeoutConfig;
  #answer: RequestListener | null = null;
  /** Of each socket the exchange of request and response that is under way on it. */
  readonly #underWay = new WeakMap<Duplex, { readonly request: IncomingMessage; readonly response: ServerResponse }>();

  constructor(timeouts: TimeoutConfig, journal: Journal) {
    this.#timeouts = timeouts;
    this.#journal = journal;
  }

  /** From now on requests are answered by this one, and clients get so much time. */
  answerWith(answer: RequestListener, timeouts: TimeoutConfig): void {
    this.#answer = answer;
    this.#timeouts = timeouts;
    for (const server of this.#servers) setTimeouts(server, timeouts);
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
  stopAccepting(): void {
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

  async #bind(host: string, port: number): Promise<AddressInfo> {
    const inTurn = oneAtATime((request, response) => this.#take(request, response));
    const server = createServer({ connectionsCheckingInterval: 1000 }, inTurn);
    setTimeouts(server, this.#timeouts);
    server.on('clientError', (error, socket) => refuseRaw(socket, this.#journal, error, this.#stateOf(socket)));
    // Of a CONNECT the socket is handed over bare: without a listener of our own its errors would end the process.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => {});
      refuseRaw(socket, this.#journal, Object.assign(new Error('CONNECT'), { code: 'CONNECT' }), {
        hasHeaders: true,
        isAnswering: false,
      });
    });
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
      isAnswering: current !== undefined && (current.request.complete || current.response.headersSent),
    };
  }
}

/** Looked at by Node when it is time, so a change goes for connections that are there. */
export function setTimeouts(server: Server, { clientHeaders, clientBody, keepAlive }: TimeoutConfig): void {
  server.headersTimeout = clientHeaders;
  server.requestTimeout = clientBody;
  server.keepAliveTimeout = keepAlive;
}
