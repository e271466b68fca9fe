// Two journals as one: each fact is told to both.

import type { Fact, Journal } from '../domain/ports.ts';

export class BothJournals implements Journal {
  readonly #first: Journal;
  readonly #second: Journal;

  constructor(first: Journal, second: Journal) {
    this.#first = first;
    this.#second = second;
  }

  record(fact: Fact): void {
    this.#first.record(fact);
    this.#second.record(fact);
  }
}
