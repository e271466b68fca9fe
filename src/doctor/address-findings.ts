// Whether a listener could be bound, and if not, who has its address.

import { ANOTHER, type Listener } from '../edge/bind-failure.ts';
import { type Finding, failed, ok, warning } from './report.ts';

export type AddressFacts =
  | { readonly state: 'free' }
  /** Port 0. */
  | { readonly state: 'any' }
  /** `gateway`: it answers as we do, at /healthz or to a replica. */
  | { readonly state: 'taken'; readonly by: 'gateway' | 'somebody' }
  /** `remedy`: as serve says it. */
  | { readonly state: 'unbindable'; readonly why: string; readonly remedy: string };

/** `address`: as it is written. */
export function addressFinding(section: Listener, address: string, facts: AddressFacts): Finding {
  const subject = section;
  switch (facts.state) {
    case 'free':
      return ok('address', `${address} is free`, { subject });
    case 'any':
      return ok('address', `${address} is any free port`, { subject });
    case 'unbindable':
      return failed('address', `${address} ${facts.why}`, facts.remedy, { subject });
    case 'taken': {
      if (facts.by === 'somebody') {
        const remedy = `stop it, or choose another address ${ANOTHER[section]}`;
        return failed('address', `${address} is in use by something that is no gateway`, remedy, { subject });
      }
      const remedy = 'is it already running? A second one needs an address of its own';
      return warning('address', `${address} is in use by a gateway that lives`, remedy, { subject });
    }
  }
}
