// Which call or session a message from the upstream belongs to. Answers go by their id; everything else the upstream
// sends says at most by a progress token what caused it. In a session a wrong guess harms nobody, since all that is
// open belongs to one client; elsewhere what cannot be told for certain goes to nobody: a question shown to the wrong
// caller is worse than a question refused.

import type { Dropped } from '../domain/drops.ts';
import type { Notification, Request } from '../protocol/json-rpc.ts';
import { ownId } from './correlation.ts';

/**
 * Who is on a link.
 * session: one session, whose own link it is. everybody: it is the only link of its mount, shared by sessions and
 * requests without one. pool: requests without a session.
 */
export type Sharing = 'session' | 'everybody' | 'pool';

export interface RouterFacts<Call> {
  readonly sharing: Sharing;
  /** The open call with this id of ours. */
  find(id: number): Call | undefined;
  /** All open calls. */
  readonly calls: Iterable<Call>;
  /** Whether the upstream may put a question back while it works on this call. */
  mayAskBack(call: Call): boolean;
}

export type NotificationVerdict<Call> =
  | { readonly to: 'progress'; readonly call: Call }
  /** The session on whose own link it came; `about` is the call that it is about, where that is certain. */
  | { readonly to: 'session'; readonly about: Call | null }
  /** Who answers for this call, if anybody does. */
  | { readonly to: 'session of'; readonly call: Call }
  /** And all that listen to the mount. */
  | { readonly to: 'every session' }
  /** Those that listen to the mount: something has changed, whoever has caused it. */
  | { readonly to: 'listens' }
  /** The upstream does not want an answer to its own question any more. */
  | { readonly to: 'question' }
  | { readonly to: 'nobody'; readonly as: Dropped };

export function routeNotification<Call>(message: Notification, facts: RouterFacts<Call>): NotificationVerdict<Call> {
  switch (message.method) {
    case 'notifications/progress': {
      const token = ownId(message.bytes, message.params?.members.get('progressToken'));
      const call = token === null ? undefined : facts.find(token);
      return call === undefined ? { to: 'nobody', as: 'late_progress' } : { to: 'progress', call };
    }
    case 'notifications/cancelled':
      return { to: 'question' };
    case 'notifications/initialized':
    case 'notifications/roots/list_changed':
    case 'notifications/tasks/status':
      // A client's to say, or of tasks, which are not bridged.
      return { to: 'nobody', as: 'unroutable_notification' };
    default:
      break;
  }
  // Logs carry no token. With one call in flight there is no doubt.
  const about = message.method === 'notifications/message' ? only(facts.calls) : null;
  if (facts.sharing === 'session') return { to: 'session', about };
  if (message.method !== 'notifications/message') {
    return { to: facts.sharing === 'pool' ? 'listens' : 'every session' };
  }
  return about === null ? { to: 'nobody', as: 'unroutable_notification' } : { to: 'session of', call: about };
}

export type QuestionVerdict<Call> =
  /** As above: `about` is the call that asks, where that is certain. */
  | { readonly to: 'session'; readonly about: Call | null }
  | { readonly to: 'session of'; readonly call: Call }
  | { readonly to: 'nobody'; readonly refusal: Refusal };

/** Nobody can answer: the upstream gets an error at once, since a question left open would hang its tool. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

export const METHOD_NOT_FOUND = -32601;
export const UNDECLARED: Refusal = { code: METHOD_NOT_FOUND, message: 'the client did not declare this capability' };

const QUESTIONS: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);

/** Pings never come here: the link answers them. */
export function routeQuestion<Call>(question: Request, facts: RouterFacts<Call>): QuestionVerdict<Call> {
  if (!QUESTIONS.has(question.method)) {
    return { to: 'nobody', refusal: { code: METHOD_NOT_FOUND, message: 'method not found' } };
  }
  const asking = only(facts.calls, (call) => facts.mayAskBack(call));
  if (facts.sharing === 'session') return { to: 'session', about: asking };
  if (asking !== null) return { to: 'session of', call: asking };
  return { to: 'nobody', refusal: UNDECLARED };
}

/**
 * Nobody is on the link, so the question is left over from an earlier caller: the link must not be used again. Many
 * servers ask for roots right after initialized; that one is no left-over.
 */
export function isLeftOver(question: Request): boolean {
  return QUESTIONS.has(question.method) && question.method !== 'roots/list';
}

/** The only one, or null where there is none or more than one. */
function only<Call>(calls: Iterable<Call>, which: (call: Call) => boolean = () => true): Call | null {
  let found: Call | null = null;
  for (const call of calls) {
    if (!which(call)) continue;
    if (found !== null) return null;
    found = call;
  }
  return found;
}
