// The signals that ask to stop, and the one that has the configuration read anew. Listened for before anything else is
// loaded: to process 1 of a container a signal without a listener is lost, to any other it is the end with another code
// than the one that is promised.

const CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

type Signal = keyof typeof CODES;

export class StopSignal {
  /** Resolves with the signal that asks to stop. */
  readonly asked: Promise<Signal>;
  readonly #listeners: (readonly [signal: Signal, listener: () => void])[] = [];
  #isHungUp = false;
  #stopsOnHangup = false;
  #ask: (signal: Signal) => void = () => {};
  #first: Signal | null = null;
  #exit: (code: number) => void = () => {};

  constructor() {
    this.asked = new Promise((resolve) => (this.#ask = resolve));
  }

  get isAsked(): boolean {
    return this.#first !== null;
  }

  /** From now on the first signal asks, and a second one ends the process at once, with 128 and its number. */
  listen(exit: (code: number) => void): void {
    this.#exit = exit;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) this.#on(signal, () => this.#came(signal));
    this.#on('SIGHUP', () => {
      this.#isHungUp = true;
      if (this.#stopsOnHangup) this.#came('SIGHUP');
    });
  }

  /** Also where its terminal is closed: for what has nothing to read anew. */
  listenToHangup(): void {
    this.#stopsOnHangup = true;
    if (this.#isHungUp) this.#came('SIGHUP');
  }

  #came(signal: Signal): void {
    if (this.#first !== null) this.#exit(CODES[signal]);
    this.#first ??= signal;
    this.#ask(signal);
  }

  /** For what needs no orderly end: a signal ends it as if nobody listened, one that has come already too. */
  ignore(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
    if (this.#first !== null) process.kill(process.pid, this.#first);
    if (this.#isHungUp) process.kill(process.pid, 'SIGHUP');
  }

  /** For what has nothing to read anew: it ends when its terminal is closed. */
  ignoreHangUp(): void {
    for (const [signal, listener] of this.#listeners) if (signal === 'SIGHUP') process.off(signal, listener);
    if (this.#isHungUp) process.kill(process.pid, 'SIGHUP');
  }

  #on(signal: Signal, listener: () => void): void {
    process.on(signal, listener);
    this.#listeners.push([signal, listener]);
  }
}

/** Of this process. */
export const stopSignal = new StopSignal();
