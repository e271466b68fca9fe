// One request of a client without a session, on a lease. The request alone is enough; nothing of it stays behind.

import { Call } from '../bridge/call.ts';
import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import type { Request } from '../protocol/json-rpc.ts';
import { isTaskMethod, methodRow } from '../protocol/methods.ts';
import type { Mount } from './mount.ts';

export function serveSessionless(mount: Mount, request: Request, exchange: Exchange, principal: Principal): void {
  const row = methodRow(request.method);
  if (row.withoutSession === 'us') {
    exchange.finish({ kind: 'own', result: {} });
    return;
  }
  if (row.withoutSession === 'nobody' || isTaskMethod(request.method)) {
    exchange.finish({
      kind: 'error',
      error: new ProxyError('method_not_found', 'this method needs a session, or is not served'),
    });
    return;
  }
  attempt(1);

  function attempt(count: number): void {
    const call = new Call({
      request,
      exchange,
      clock: mount.clock,
      timers: mount.timers,
      requestMs: mount.config.timeouts.request,
      requestMaxMs: mount.config.timeouts.requestMax,
      // [spec 2025-11-25 transports] "Disconnection SHOULD NOT be interpreted as the client cancelling its request."
      clientGone: 'go on',
      again: (repeatable) => {
        // Once more on another link, if it certainly never ran, or if running it twice is running it once.
        if (count > 1 || (repeatable === 'lost' && row.safeToRetry !== true)) return false;
        attempt(count + 1);
        return true;
      },
      onUnread: () => {
        mount.journal.record({ fact: 'dropped', upstream: mount.name, what: 'answer_to_a_client_that_left' });
      },
    });
    // Nothing is declared for a client that declared nothing, so no question can come back: the lease is shared.
    const want = { principal, profile: EMPTY_PROFILE, exclusive: false };
    const leave = mount.lease(want, (result) => {
      if (result instanceof ProxyError) call.leaseFailed(result);
      else result.conversation.begin(call, false, (how) => result.release(how));
    });
    call.waits(leave);
  }
}
