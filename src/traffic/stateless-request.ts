// One request of a client without a session, on a lease. The request alone is enough; nothing of it stays behind.

import type { Exchange } from '../bridge/exchange.ts';
import { forRevision } from '../bridge/answer-for-revision.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { EMPTY_PROFILE } from '../protocol/capability-profile.ts';
import type { ServedRevision } from '../protocol/eras.ts';
import { type Request, encode } from '../protocol/json-rpc.ts';
import { isTaskMethod, methodRow } from '../protocol/methods.ts';
import { deliverableHandshake } from '../protocol/rewrites.ts';
import { needsToBeAlone } from './lease-rules.ts';
import { startLeasedCall } from './leased-call.ts';
import type { Mount } from './mount.ts';

export interface StatelessRequest {
  readonly mount: Mount;
  readonly principal: Principal;
  readonly request: Request;
  /** What the client speaks, as far as it says so. */
  readonly revision: ServedRevision;
  readonly exchange: Exchange;
}

export function serveSessionless({ mount, principal, request, revision, exchange }: StatelessRequest): void {
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
  startLeasedCall({
    mount,
    want: {
      principal,
      profile: EMPTY_PROFILE,
      exclusive: needsToBeAlone(row, EMPTY_PROFILE),
      mayAskBack: row.mayAskBack === true,
    },
    request,
    asker: exchange,
    safeToRetry: row.safeToRetry === true,
    clientGone: mount.cancelsOnDisconnect ? 'cancel' : undefined,
    onAnswer: (given, on) => {
      const { answer } = on.marks.takenFrom(given);
      return { ...forRevision(answer, request.method, revision), answer };
    },
  });
}

/** An initialize that opens no session: answered with what the upstream answered to ours, and nothing is remembered. */
export function serveHandshake({ mount, principal, revision, exchange }: Omit<StatelessRequest, 'request'>): void {
  const leave = mount.handshake(principal, (handshake) => {
    exchange.attend(null);
    exchange.finish(
      handshake instanceof ProxyError
        ? { kind: 'error', error: handshake }
        : {
            kind: 'answer',
            answer: deliverableHandshake(handshake.answer, false),
            changes: { negotiatedVersion: encode(JSON.stringify(revision)) },
          },
    );
  });
  if (exchange.isOpen) exchange.attend(leave);
}
