// A call of a client of 2026-07-28 upstream, its rounds, and the retry that goes on with it.

import type { Call } from '../bridge/call.ts';
import { isDeclared } from '../bridge/questions.ts';
import type { Exchange } from '../bridge/exchange.ts';
import { Rounds } from '../bridge/rounds.ts';
import { requestDigest } from '../protocol/canonical-digest.ts';
import { inputResponses } from '../protocol/input-required.ts';
import { type Request, textOf } from '../protocol/json-rpc.ts';
import { outgoingModern } from '../protocol/rewrites.ts';
import type { RoundClaims } from '../protocol/sealed-token.ts';
import { CallLogLevel } from './call-log-level.ts';
import type { Conversation } from './conversation.ts';
import type { Held } from './held-calls.ts';
import { needsToBeAlone } from './lease-rules.ts';
import { startLeasedCall } from './leased-call.ts';
import { told, undeclared } from './modern-answer.ts';
import { type Ask, fail } from './modern-ask.ts';
import type { Mount } from './mount.ts';

export function callUpstream(ask: Ask): void {
  const { mount, principal, request, exchange, row, profile, answerable, logLevel, envelope, headers } = ask;
  const mayBeAsked = needsToBeAlone(row, answerable);
  startLeasedCall({
    mount,
    want: {
      principal,
      profile,
      // Log messages say nothing of the call that they are about: that is told by there being no other.
      exclusive: mayBeAsked || logLevel !== null,
      mayAskBack: row.mayAskBack === true,
    },
    request,
    asker: exchange,
    safeToRetry: row.safeToRetry === true,
    // [spec 2026-07-28 transports] a client that disconnects cancels its request.
    clientGone: 'cancel',
    // [spec 2026-07-28 progress] "The progress value MUST increase with each notification".
    progressIncreases: true,
    outgoing: (id) => outgoingModern(request, id, headers),
    onAnswer: (given, on) => {
      const { required, answer } = on.marks.takenFrom(given);
      // What was declared, and yet refused, is nothing that the client could mend.
      if (answer.kind === 'error' && required !== null && !isDeclared(required, envelope.profile)) {
        return { kind: 'error', error: undeclared(required) };
      }
      return told(answer, ask, on.handshake);
    },
    prepare: (call, on) => {
      if (!mayBeAsked && logLevel === null) return { listener: null };
      const level = new CallLogLevel(mount, on);
      const rounds = roundsOf(ask, call, on, level);
      return {
        listener: rounds,
        before: (done) => level.set(logLevel, done),
        after: (done) => level.reset(done),
        // The client has answered questions of this attempt.
        mayRepeat: () => rounds.round === 0,
      };
    },
  });
}

function roundsOf(ask: Ask, call: Call, conversation: Conversation, level: CallLogLevel): Rounds {
  const { mount, principal, request, profile, answerable, logLevel } = ask;
  const { modern } = mount;
  // Most calls are answered without a question.
  let id: string | null = null;
  const heldId = (): string => (id ??= modern.newHeldId());
  const key = mount.key(principal, profile);
  let digest: string | null = null;
  const rounds: Rounds = new Rounds({
    timers: mount.timers,
    maxBytes: mount.config.limits.upstreamMessageBytes,
    profile: answerable,
    logLevel,
    upstream: conversation.handshake.revision,
    serverInfo: conversation.handshake.serverInfo,
    seal: (round) => modern.sealRound(principal, heldId(), round, (digest ??= requestDigest(request))),
    onHeld: () => {
      modern.held.hold({ id: heldId(), call, rounds, level, key, principal });
    },
    undeclared,
  });
  rounds.serves(call);
  return rounds;
}

/** The mount that holds the call which this request goes on with, if one of these does. */
export function holderOf(request: Request, mounts: readonly Mount[]): Mount | null {
  const state = stateOf(request);
  return state === null ? null : (mounts.find(({ modern }) => modern.holds(state)) ?? null);
}

/** The state that it brings, whether or not it is one; null: none. */
export function stateOf(request: Request): string | null {
  const state = request.params?.members.get('requestState');
  return state?.kind === 'string' ? textOf(request.bytes, state) : null;
}

/**
 * The client is back, or says so: every state that is not good for this request looks the same. `whenFit` goes on if
 * the request's headers are right.
 */
export function retry(ask: Ask, whenFit: (ask: Ask, go: () => void) => void): void {
  const { mount, principal, request, exchange } = ask;
  const { modern } = mount;
  const state = stateOf(request);
  const claims = state === null ? null : modern.openState(state, principal, () => requestDigest(request));
  if (claims === null || (claims.kind === 'round' && heldFor(claims, ask) === null)) refuseState(exchange);
  else whenFit(ask, () => (claims.kind === 'round' ? comeBack(claims, ask) : callUpstream(ask)));
}

/** Of an earlier round it is used up; and somebody else may be back already. */
function heldFor(claims: RoundClaims, { mount }: Ask): Held | null {
  const held = mount.modern.held.find(claims.held);
  return held?.rounds.round === claims.round ? held : null;
}

function refuseState(exchange: Exchange): void {
  fail(
    exchange,
    'request_state_invalid',
    'the requestState is not valid for this request: used, of another, older than timeouts.round, or of before a reload',
  );
}

/** Takes the held call over. */
function comeBack(claims: RoundClaims, ask: Ask): void {
  const { mount, request, exchange, envelope, logLevel, answerable } = ask;
  const held = heldFor(claims, ask);
  if (held === null) {
    refuseState(exchange);
    return;
  }
  const responses = inputResponses(request);
  if (responses === null) {
    fail(exchange, 'input_invalid', 'params.inputResponses must be an object in which no key is given twice');
    return;
  }
  const fault = held.rounds.faultOf({ bytes: request.bytes, responses });
  if (fault !== null) {
    fail(exchange, 'input_invalid', fault);
    return;
  }
  // Claimed: from here on nobody else finds it.
  mount.modern.held.release(held.id);
  const { progressToken } = envelope;
  const back = { exchange, progressToken, profile: answerable, logLevel, bytes: request.bytes, responses };
  // Its upstream has answered: the link is somebody else's by now.
  if (held.call.state.phase !== 'held') {
    if (!held.rounds.resume(back)) refuseState(exchange);
    return;
  }
  exchange.attend(() => held.call.letGo('the client disconnected'));
  held.level.set(logLevel, () => {
    // The client has left again, which means what it always means.
    if (!exchange.isOpen) held.call.letGo('the client disconnected');
    else if (!held.rounds.resume(back)) refuseState(exchange);
  });
}
