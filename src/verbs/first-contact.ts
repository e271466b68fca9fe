// What is learned of each upstream at the start: for the banner, which waits for it a little, and for the log, whose first
// line about a failure says what is wrong with just this URL.

import type { Config } from '../config/schema.ts';
import type { Dropped } from '../domain/drops.ts';
import type { Fact, Journal } from '../domain/ports.ts';
import { diagnosis } from '../probe/diagnosis.ts';

export type Contact =
  | { readonly state: 'unknown' }
  | { readonly state: 'up'; readonly server: string; readonly revision: string }
  | { readonly state: 'down'; readonly why: string };

/** What is odd about a server, as far as it has shown by itself. */
export type Quirk =
  /** It is kept to one link, as was said. */
  | 'single'
  | 'broadcasts'
  | 'dies_of_a_second_link'
  | 'offers_tasks'
  | 'asks_at_once'
  | 'sends_no_json_rpc'
  | 'sends_unknown_events';

const SHOWN_BY: { readonly [what in Dropped]?: Quirk } = {
  refused_question: 'asks_at_once',
  unreadable_message: 'sends_no_json_rpc',
  unknown_event: 'sends_unknown_events',
};

export class FirstContact implements Journal {
  readonly #next: Journal;
  /** Of each that has one only: of several nobody knows which it was. */
  #urls: ReadonlyMap<string, URL>;
  readonly #contacts: Map<string, Contact>;
  readonly #awaited: readonly string[];
  readonly #quirks = new Map<string, Set<Quirk>>();
  readonly #settled: Promise<void>;
  #settle: () => void = () => {};

  constructor(upstreams: Config['upstreams'], next: Journal) {
    this.#next = next;
    this.#urls = onlyUrls(upstreams);
    this.#contacts = new Map(upstreams.map(({ name }) => [name, { state: 'unknown' }]));
    // Where callers bring the credential nothing is asked before one comes.
    this.#awaited = upstreams.filter(({ outbound }) => typeof outbound === 'string').map(({ name }) => name);
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (this.#awaited.length === 0) this.#settle();
  }

  /** Resolves once every upstream that is asked has answered, or has failed to. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** They may be others now, or elsewhere. */
  moved(upstreams: Config['upstreams']): void {
    this.#urls = onlyUrls(upstreams);
  }

  of(upstream: string): Contact {
    return this.#contacts.get(upstream) ?? { state: 'unknown' };
  }

  /** What the upstream has shown so far. */
  quirksOf(upstream: string): readonly Quirk[] {
    return [...(this.#quirks.get(upstream) ?? [])];
  }

  record(fact: Fact): void {
    if (fact.fact === 'upstream_up') {
      this.#learn(fact.upstream, { state: 'up', server: fact.server, revision: fact.revision });
    } else if (fact.fact === 'upstream_down') {
      const url = this.#urls.get(fact.upstream);
      const why = url === undefined ? fact.remedy : diagnosis(fact.reason, url);
      this.#learn(fact.upstream, { state: 'down', why });
      this.#next.record({ ...fact, remedy: why });
      return;
    }
    if (fact.fact === 'dropped') this.#note(fact.upstream, SHOWN_BY[fact.what]);
    if (fact.fact === 'single_by_proof') this.#note(fact.upstream, 'broadcasts');
    if (fact.fact === 'single_hint') this.#note(fact.upstream, 'dies_of_a_second_link');
    this.#next.record(fact);
  }

  #note(upstream: string, quirk: Quirk | undefined): void {
    if (quirk !== undefined) this.#quirks.set(upstream, (this.#quirks.get(upstream) ?? new Set()).add(quirk));
  }

  #learn(upstream: string, contact: Contact): void {
    this.#contacts.set(upstream, contact);
    if (this.#awaited.every((name) => this.of(name).state !== 'unknown')) this.#settle();
  }
}

function onlyUrls(upstreams: Config['upstreams']): ReadonlyMap<string, URL> {
  return new Map(upstreams.filter(({ urls }) => urls.length === 1).map(({ name, url }) => [name, url]));
}
