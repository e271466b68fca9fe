// One request of a client without a session, on a lease. The request alone is enough; nothing of it stays behind.

import { Call } from '../bridge/call.ts';
import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import type { Request } from '../protocol/json-rpc.ts';
import { isTaskMethod, methodRow } from '../protocol/methods.ts';
import { needsToBeAlone } from './lease-rules.ts';
import type { Mount } from './mount.ts';

export function serveSessionless(mount: Mount, request: Request, exchange: Exchange, principal: Principal): void {
  const row = methodRow(request.method);
  if (row.withoutSession === 'us') {
    exchange.finish({ kind: 'own', result: {} });
    return;
  }
  const isTask = isTaskMethod(request.method);
  if (row.withoutSession === 'nobody' || isTask) {
    exchange.finish({
      kind: 'error',
      error: new ProxyError('method_not_found', isTask ? 'tasks are not served' : 'this method needs a session'),
    });
    return;
  }
  /** An attempt ended in a way that leaves open whether it ran: no later one can say that nothing was executed. */
  let mayHaveRun = false;
  attempt(1);

  function attempt(count: number): void {
    const call = new Call({
      request,
      exchange,
      ...mount.callOptions,
      again: (repeatable) => {
        // Once more on another link, if it certainly never ran, or if running it twice is running it once.
        if (count > 1 || (repeatable === 'lost' && row.safeToRetry !== true)) return false;
        mayHaveRun = repeatable === 'lost';
        attempt(count + 1);
        return true;
      },
      mayHaveRun: () => mayHaveRun,
    });
    const want = { principal, profile: EMPTY_PROFILE, exclusive: needsToBeAlone(row, EMPTY_PROFILE) };
    const leave = mount.lease(want, (result) => {
      if (result instanceof ProxyError) call.leaseFailed(result);
      else result.conversation.begin(call, want.exclusive, (how) => result.release(how));
    });
    call.waits(leave);
  }
}
