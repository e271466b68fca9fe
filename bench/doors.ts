// Where the load's requests go: to one gateway, or to each of several in turn, as from a balancer that keeps no client where its
// session is.
import { HttpSocket, READ_BYTES } from './http-socket.ts';

export interface Target {
  readonly port: number;
  readonly path: string;
  /** Where sessions are opened, one after the other; not given: at `port`. */
  readonly homes?: readonly number[];
  /** Where all the rest is sent, in turn; not given: to `port`. */
  readonly via?: readonly number[];
}

/** Of one caller: a connection to each place, made when it is first needed. */
export class Doors {
  readonly #ports: readonly number[];
  readonly #turns: Turns;
  readonly #readBytes: number;
  readonly #sockets: HttpSocket[] = [];

  constructor(ports: readonly number[], turns: Turns, readBytes: number) {
    this.#ports = ports;
    this.#turns = turns;
    this.#readBytes = readBytes;
  }

  next(): HttpSocket {
    const at = this.#turns.next(this.#ports.length);
    return (this.#sockets[at] ??= new HttpSocket(this.#ports[at] ?? 0, this.#readBytes));
  }

  close(): void {
    for (const socket of this.#sockets) socket?.close();
  }
}

/** One for all callers, so that what one of them does next says nothing of where it goes. */
class Turns {
  #taken = 0;

  next(places: number): number {
    this.#taken += 1;
    return this.#taken % places;
  }
}

/** A maker of doors, one for each caller. */
export function doorsOf({ port, via = [port] }: Target, readBytes = READ_BYTES): () => Doors {
  const turns = new Turns();
  return () => new Doors(via, turns, readBytes);
}

export function homeOf({ port, homes = [port] }: Target, index: number): number {
  return homes[index % homes.length] ?? port;
}
