// Names of other machines.

import { type Finding, failed, ok, warning } from './report.ts';

export type NameFacts =
  | { readonly state: 'resolved'; readonly addresses: number; readonly ms: number }
  | { readonly state: 'unresolved'; readonly code: string; readonly ms: number }
  /** Time was up. */
  | { readonly state: 'late' };

/** Every new connection waits for it. */
const SLOW_MS = 1000;

/** `isOurs`: the gateway itself dials it, and not only its clients. */
export function nameFinding(subject: string, facts: NameFacts, isOurs: boolean): Finding {
  switch (facts.state) {
    case 'resolved': {
      const { addresses, ms } = facts;
      const seen = `${addresses} ${addresses === 1 ? 'address' : 'addresses'} in ${Math.round(ms)} ms`;
      if (ms < SLOW_MS) return ok('dns', seen, { subject, ms });
      return warning('dns', seen, 'every new connection waits for this: look at the resolver of this machine', {
        subject,
        ms,
      });
    }
    case 'unresolved': {
      const { code, ms } = facts;
      const seen = `does not resolve (${code})`;
      if (!isOurs) return warning('dns', seen, 'clients may know more names: see that they do', { subject, ms });
      const isForNow = code === 'EAI_AGAIN';
      const remedy = isForNow
        ? 'no name server answers: look at the resolver of this machine'
        : 'is it spelt right, and known where the gateway runs?';
      return failed('dns', seen, remedy, { subject, ms });
    }
    case 'late':
      return failed('dns', 'no answer in time', 'look at the resolver of this machine, or allow more with --timeout', {
        subject,
      });
  }
}
