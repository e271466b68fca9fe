// A call on a leased link, for whoever waits for it: attempted once more on another link where that is safe.

import { type AnswerVerdict, type Asker, Call } from '../bridge/call.ts';
import type { LinkListener } from '../bridge/link-listener.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Chunks } from '../domain/ports.ts';
import type { Answer, Request } from '../protocol/json-rpc.ts';
import type { Conversation } from './conversation.ts';
import type { Lease, Want } from './lease-rules.ts';
import type { Mount } from './mount.ts';

export interface LeasedCall {
  readonly mount: Pick<Mount, 'lease' | 'callOptions'>;
  readonly want: Want;
  readonly request: Request;
  readonly asker: Asker;
  /** Running it twice is running it once. */
  readonly safeToRetry: boolean;
  /** See CallOptions. */
  readonly clientGone?: 'cancel' | 'go on' | undefined;
  readonly progressIncreases?: true;
  readonly outgoing?: (id: Uint8Array) => Chunks;
  readonly onAnswer?: (answer: Answer, on: Conversation) => AnswerVerdict | undefined;
  /** Of each attempt, before it begins: who answers for what it causes, and what the link must be told for it. */
  readonly prepare?: (call: Call, on: Conversation) => Preparation;
}

export interface Preparation {
  readonly listener: LinkListener | null;
  /** Done before the call is sent. */
  readonly before?: (done: () => void) => void;
  /** Done before the link is given back for others to use. */
  readonly after?: (done: () => void) => void;
  /** False: the attempt has come too far to be made again. */
  readonly mayRepeat?: () => boolean;
}

const NOTHING: Preparation = { listener: null };

export function startLeasedCall(leased: LeasedCall): void {
  const { mount, want, request, asker, safeToRetry, onAnswer, prepare } = leased;
  const { clientGone, progressIncreases, outgoing } = leased;
  /** An attempt ended in a way that leaves open whether it ran: no later one can say that nothing was executed. */
  let mayHaveRun = false;
  attempt(1);

  function attempt(count: number): void {
    let on: Conversation | null = null;
    let preparation = NOTHING;
    const call = new Call({
      ...mount.callOptions,
      request,
      exchange: asker,
      clientGone: clientGone ?? mount.callOptions.clientGone,
      progressIncreases,
      outgoing,
      onAnswer: (answer) => (on === null ? undefined : onAnswer?.(answer, on)),
      again: (repeatable) => {
        // Once more on another link, if it certainly never ran, or if running it twice is running it once.
        if (count > 1 || (repeatable === 'lost' && !safeToRetry) || preparation.mayRepeat?.() === false) return false;
        mayHaveRun = repeatable === 'lost';
        attempt(count + 1);
        return true;
      },
      mayHaveRun: () => mayHaveRun,
    });
    obtain(true);

    function obtain(mayTryAnother: boolean): void {
      const leave = mount.lease(want, (result) => {
        if (result instanceof ProxyError) call.leaseFailed(result);
        else prepared(result, mayTryAnother);
      });
      call.waits(leave);
    }

    function prepared(lease: Lease<Conversation>, mayTryAnother: boolean): void {
      const { conversation } = lease;
      on = conversation;
      preparation = prepare?.(call, conversation) ?? NOTHING;
      const begin = (): void => {
        if (conversation.isOpen) {
          begun(lease);
          return;
        }
        preparation.after?.(() => {});
        lease.release('retire');
        if (mayTryAnother) obtain(false);
        else call.leaseFailed(new ProxyError('upstream_session_lost', 'the link closed', { outcome: 'not_executed' }));
      };
      if (preparation.before === undefined) begin();
      else preparation.before(begin);
    }

    function begun(lease: Lease<Conversation>): void {
      const { listener, after } = preparation;
      lease.conversation.begin(call, { exclusive: want.exclusive, listener }, (how) => {
        if (after === undefined || how === 'reuse') {
          if (after === undefined) lease.release(how);
          else after(() => lease.release(how));
          return;
        }
        lease.release(how);
        // On the only link, which is not retired, its level would be wanted for ever.
        after(() => {});
      });
    }
  }
}
