// Which call, if any, a message from the upstream belongs to. Answers go by their id; everything else the upstream
// sends says at most by a progress token what caused it, and what cannot be told for certain goes to nobody: a
// question shown to the wrong caller is worse than a question refused.

import type { Dropped } from '../domain/ports.ts';
import type { Notification, Request } from '../protocol/json-rpc.ts';
import { ownId } from './correlation.ts';

export interface RouterFacts<Call> {
  /** The open call with this id of ours. */
  find(id: number): Call | undefined;
  /** All open calls, the oldest first, when every one of them belongs to the same session; else null. */
  readonly ofOneSession: Iterable<Call> | null;
}

export type NotificationVerdict<Call> =
  | { readonly to: 'progress'; readonly call: Call }
  | { readonly to: 'call'; readonly call: Call }
  | { readonly to: 'nobody'; readonly as: Dropped };

export function routeNotification<Call>(message: Notification, facts: RouterFacts<Call>): NotificationVerdict<Call> {
  if (message.method === 'notifications/progress') {
    const token = ownId(message.bytes, message.params?.members.get('progressToken'));
    const call = token === null ? undefined : facts.find(token);
    return call === undefined ? { to: 'nobody', as: 'late_progress' } : { to: 'progress', call };
  }
  if (message.method === 'notifications/message' && facts.ofOneSession !== null) {
    // Logs carry no token. In a session the newest call is the best guess, and a wrong stream harms nobody.
    const newest = [...facts.ofOneSession].at(-1);
    if (newest !== undefined) return { to: 'call', call: newest };
  }
  return { to: 'nobody', as: 'unroutable_notification' };
}

/** Nobody can answer: the upstream gets an error at once, since a question left open would hang its tool. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  /** Nobody is on the link, so the question is left over from an earlier caller: the link must not be used again. */
  readonly retire: boolean;
}

const METHOD_NOT_FOUND = -32601;
const QUESTIONS: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);

/** `idle`: no call is open on the link. Pings never come here: the link answers them. */
export function refuseQuestion(question: Request, facts: { readonly idle: boolean }): Refusal {
  const known = QUESTIONS.has(question.method);
  return {
    code: METHOD_NOT_FOUND,
    message: known ? 'the client did not declare this capability' : 'method not found',
    // Many servers ask for roots right after initialized; that one is no left-over.
    retire: known && facts.idle && question.method !== 'roots/list',
  };
}
