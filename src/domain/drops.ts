// What can be received and not passed on, and what each means: said in the log, counted, and printed in docs/metrics.md.

export const DROPS = {
  unreadable_message: 'from the upstream: not JSON-RPC, too deep, or members given twice',
  unknown_answer: 'from the upstream: an id that nobody asked for, or no id at all',
  foreign_answer: 'from the upstream: an id that another link asked for',
  late_answer: 'from the upstream: asked for once, but nobody waits any more',
  duplicate_answer: 'from the upstream: to what it has answered already',
  late_progress: 'from the upstream: of a call that is over, or that nobody wanted to hear of',
  unroutable_notification: 'nobody to give it to',
  undeliverable_notification: 'the client takes no stream, or has left',
  foreign_question: 'from the upstream: a request that another link heard too, and answers',
  refused_question: 'from the upstream: a request that nobody may answer; it got an error back',
  second_endpoint: 'from the upstream: an endpoint event in mid-session',
  unknown_event: 'from the upstream: an event of a type that the transport does not have',
  sessionless_notification: 'from a client without a session: there is nothing it could refer to',
  client_response: 'from a client: to a request it was never sent, or has answered already',
  unsent_event: 'kept for a client that did not come back for it in time',
  unread_reply: 'to a client that took nothing of it for timeouts.clientWrite; its connection was cut',
  abandoned_round:
    'a call that was held for its client, which did not come back in time with answers; the detail says why',
  unheard_notification: 'from the upstream: for a session that had no stream to hear it on',
  unknown_cancel: 'of a request that is not open',
  undelivered_notification: 'from a client: the upstream did not take it',
  undelivered_answer: 'to a request of the upstream, which did not take it',
  answer_to_a_client_that_left: 'the call went on without its client, and came to its end',
  post_body_ignored: 'from the upstream: a POST answered with a body that nobody waits for',
} as const satisfies Readonly<Record<string, string>>;

export type Dropped = keyof typeof DROPS;
