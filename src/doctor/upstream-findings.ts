// Whether a server can be used: what it said when it was opened, or why it was not.

import { type Finding, failed, ok, warning } from './report.ts';

export type UpstreamFacts =
  | {
      readonly state: 'opened';
      readonly ms: number;
      /** Its name and version, in its own words. */
      readonly server: string;
      readonly revision: string;
      readonly lists: readonly string[];
    }
  /** `why`: with the next step. */
  | { readonly state: 'failed'; readonly ms: number; readonly isRefusal: boolean; readonly why: string }
  | { readonly state: 'late'; readonly phase: string }
  /** One connection is all that it survives, and the gateway that runs has it. */
  | { readonly state: 'spared' };

export interface Asked {
  /** Its name, and its URL where it has several. */
  readonly subject: string;
  /** Callers bring its credential (outbound.forward), and doctor has none. */
  readonly isOfCallers: boolean;
}

export function upstreamFinding({ subject, isOfCallers }: Asked, facts: UpstreamFacts): Finding {
  switch (facts.state) {
    case 'opened': {
      const { ms, server, revision, lists } = facts;
      const offers = lists.length === 0 ? 'no lists' : lists.join(', ');
      const seen = `${server}, revision ${revision}, offers ${offers}, opened in ${Math.round(ms)} ms`;
      if (!isOfCallers) return ok('upstream', seen, { subject, ms });
      const remedy =
        'see that it refuses what callers must not do, since it is the one who knows them (outbound.forward)';
      return warning('upstream', `${seen} without a credential of any caller`, remedy, { subject, ms });
    }
    case 'failed': {
      const { ms, isRefusal, why } = facts;
      if (isOfCallers && isRefusal)
        return ok('upstream', 'answers, and wants the credential of a caller', { subject, ms });
      const [, seen = why, remedy = 'look at the log of the server'] = /^(.*?): (.*)$/s.exec(why) ?? [];
      return failed('upstream', seen, remedy, { subject, ms });
    }
    case 'late':
      return failed('upstream', `not open in time, ${facts.phase}`, 'look at its load, or allow more with --timeout', {
        subject,
      });
    case 'spared':
      return ok('upstream', 'not opened: it survives one connection (links.single), and a gateway runs that has it', {
        subject,
      });
  }
}
