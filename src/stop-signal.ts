// The signals that ask to stop, and the one that has the configuration read anew. Listened for before anything else is
// loaded: to process 1 of a container a signal without a listener is lost, to any other it is the end with another code
// than the one that is promised.

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type Signal = keyof typeof CODES;

export class StopSignal {
  /** Resolves with the signal that asks to stop. */
  readonly asked: Promise<Signal>;
  readonly #listeners: (readonly [signal: Signal | 'SIGHUP', listener: () => void])[] = [];
  /** It came before there was anything to read anew. */
  #isHungUp = false;
  #ask: (signal: Signal) => void = () => {};
  #first: Signal | null = null;

  constructor() {
    this.asked = new Promise((resolve) => (this.#ask = resolve));
  }

  get isAsked(): boolean {
    return this.#first !== null;
  }

  /** From now on the first signal asks, and a second one ends the process at once, with 128 and its number. */
  listen(exit: (code: number) => void): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const listener = (): void => {
        if (this.#first !== null) exit(CODES[signal]);
        this.#first ??= signal;
        this.#ask(signal);
      };
      this.#on(signal, listener);
    }
    this.#on('SIGHUP', () => (this.#isHungUp = true));
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

  #on(signal: Signal | 'SIGHUP', listener: () => void): void {
    process.on(signal, listener);
    this.#listeners.push([signal, listener]);
  }
}

/** Of this process. */
export const stopSignal = new StopSignal();
