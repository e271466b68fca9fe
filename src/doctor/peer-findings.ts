// The other replicas: whether each is one, of this deployment, and hears us.

import { type Finding, failed, ok, warning } from './report.ts';

export type PeerFacts =
  /** It has opened what we sealed, and we its answer. */
  | { readonly state: 'answered'; readonly version: string; readonly isDraining: boolean; readonly ms: number }
  /** It is the port of a replica, and what we seal does not open there. */
  | { readonly state: 'closed' }
  | { readonly state: 'other'; readonly seen: string }
  | { readonly state: 'silent'; readonly code: string }
  /** Time was up. */
  | { readonly state: 'late' };

/** `version`: our own. */
export function peerFinding(subject: string, facts: PeerFacts, version: string): Finding {
  switch (facts.state) {
    case 'answered': {
      const { ms, isDraining } = facts;
      const other = facts.version === version ? '' : `, with version ${facts.version} (this is ${version})`;
      const seen = `answers in ${Math.round(ms)} ms${other}${isDraining ? ', and is about to stop' : ''}`;
      return ok('peers', seen, { subject, ms });
    }
    case 'closed':
      return failed(
        'peers',
        'is a replica that does not open what we seal, or whose answer does not open here',
        'give all of them the same secrets.current; while it is rotated, the other one as secrets.previous',
        { subject },
      );
    case 'other':
      return failed('peers', `${facts.seen}, and is no replica`, 'name the port of its peers section, not of listen', {
        subject,
      });
    case 'silent':
      return warning(
        'peers',
        `cannot be reached (${facts.code}): what it holds cannot be had here`,
        'start it, or see what stands between: peers.host of it, a firewall, a network policy',
        { subject },
      );
    case 'late':
      return warning('peers', 'no answer in time', 'see whether it runs, or allow more with --timeout', { subject });
  }
}

/** `isListed`: by `peers.addresses`, and not by a name that may have more addresses soon. */
export function nobodyFinding(isListed: boolean): Finding {
  if (!isListed) return ok('peers', 'no other replica has an address yet');
  return warning('peers', 'nobody but this replica is named', 'name the others in peers.addresses, or take peers out');
}
