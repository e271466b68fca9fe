// Where a session is, as far as this replica knows: what its token says, and what has come to be since.

import type { ProxyError } from '../domain/errors.ts';
import { type Owner, readOwner } from '../domain/owner.ts';
import type { Mirrored, SessionName, TakenSession } from '../domain/session-store.ts';

export type Whereabouts =
  /** What is not held here then is unknown. */
  | { readonly at: 'here' }
  /** `owner`: which life of the process there; see ownerText. */
  | { readonly at: 'peer'; readonly address: string; readonly owner: string }
  /** There is nobody to be asked but the store: see Directory.lost. */
  | { readonly at: 'kept'; readonly owner: string; readonly how: Loss }
  | { readonly at: 'nowhere' };

/**
 * `gone`: another process is at its address now, or none that is a replica of ours. `closed`: nobody listens there.
 * `unreachable`: no connection came about, for another reason. `silent`: it shows no life, and nothing has come of asking it.
 * `unknown`: it is there, and has no such session.
 */
export type Loss = 'gone' | 'closed' | 'unreachable' | 'silent' | 'unknown';

/** A session that is asked for here, by whom it is. */
export interface Sought extends SessionName {
  readonly upstream: string;
  /** How much of its streams is kept. */
  readonly events: Mirrored['events'];
  isHere(): boolean;
  /** Why it cannot be had here; null: it can. */
  refusal(): ProxyError | null;
  /** It is ours from now on. False: what was kept is not what was asked for. */
  adopt(taken: TakenSession): boolean;
}

export interface Directory {
  /** Of a token that has opened, and whose it is. */
  ownerOf(claims: { readonly owner: string }, sessionId: string): Whereabouts;
  /**
   * The owner that was asked does not have it. `here`: this replica has it by now. Rejects with a ProxyError where it could
   * have it, and has no room.
   */
  lost(sought: Sought, owner: string, how: Loss): Promise<Whereabouts>;
}

const HERE: Whereabouts = { at: 'here' };
const NOWHERE: Whereabouts = { at: 'nowhere' };

/** A session is where its token says, and ends with that process. */
export function directoryOf(self: Owner): Directory {
  return {
    ownerOf({ owner }) {
      const { incarnation, address } = readOwner(owner);
      if (incarnation === self.incarnation) return HERE;
      // At our own address it was a process before this one.
      return address === null || address === self.address ? NOWHERE : { at: 'peer', address, owner };
    },
    lost: () => Promise.resolve(NOWHERE),
  };
}
