// Where a session is, as far as this replica knows: what its token says, and what has come to be since.

import { type Owner, readOwner } from '../domain/owner.ts';

export type Whereabouts =
  /** What is not held here then is unknown. */
  | { readonly at: 'here' }
  /** `owner`: which life of the process there; see ownerText. */
  | { readonly at: 'peer'; readonly address: string; readonly owner: string }
  | { readonly at: 'nowhere' };

/**
 * `gone`: another process is at its address now, or none that is a replica of ours. `unreachable`: no connection came about.
 * `unknown`: it is there, and has no such session.
 */
export type Loss = 'gone' | 'unreachable' | 'unknown';

export interface Directory {
  /** Of a token that has opened, and whose it is. */
  ownerOf(claims: { readonly owner: string }, sessionId: string): Whereabouts;
  /** The owner that was asked does not have it. `here`: this replica has it by now. Never rejects. */
  lost(sessionId: string, owner: string, how: Loss): Promise<Whereabouts>;
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
