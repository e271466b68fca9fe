// What the listens of each caller want of the upstream, counted: every link on which the caller can cause a change must
// know of it, and the last listen takes it back.

import type { LinkKey } from '../upstream/link-key.ts';
import { SharedWants, Wants } from './wants.ts';

/** Of one listen, until it ends; then nothing is wanted any more, and nothing can be. */
export interface ListenWants {
  readonly uris: ReadonlySet<string>;
  subscribe(uri: string): void;
  unsubscribe(uri: string): void;
  /** Idempotent. */
  end(): void;
}

interface Holding {
  readonly shared: SharedWants;
  holders: number;
}

export class CallersWants {
  readonly #byCaller = new Map<string, Holding>();

  /** Of all listens of one caller; null where there is none. */
  of({ caller }: LinkKey): SharedWants | null {
    return this.#byCaller.get(caller)?.shared ?? null;
  }

  hold({ caller }: LinkKey): ListenWants {
    const holding = this.#byCaller.get(caller) ?? { shared: new SharedWants(), holders: 0 };
    this.#byCaller.set(caller, holding);
    holding.holders++;
    return listenWants(holding.shared, () => {
      if (--holding.holders === 0) this.#byCaller.delete(caller);
    });
  }
}

/** Where a mount runs on one link, all of its callers want together. */
export function onOnlyLink(shared: SharedWants): ListenWants {
  return listenWants(shared, () => {});
}

function listenWants(shared: SharedWants, onEnd: () => void): ListenWants {
  const wants = new Wants(shared);
  let isOver = false;
  return {
    uris: wants.uris,
    subscribe: (uri) => {
      if (!isOver) wants.subscribe(uri);
    },
    unsubscribe: (uri) => {
      if (!isOver) wants.unsubscribe(uri);
    },
    end: () => {
      if (isOver) return;
      isOver = true;
      wants.end();
      onEnd();
    },
  };
}
