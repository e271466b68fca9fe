// `subscriptions/listen` of a client of 2026-07-28: what can be heard is asked for upstream, and the client is told of it
// before anything else. What is heard meanwhile waits for that.

import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Principal } from '../domain/principal.ts';
import { type Request, bytesOf } from '../protocol/json-rpc.ts';
import { readEnvelope } from '../protocol/modern-envelope.ts';
import { type SubscriptionFilter, honoured, readFilter } from '../protocol/subscription.ts';
import { LIST_METHODS, type ListMethod } from './catalog.ts';
import type { Conversation } from './conversation.ts';
import type { Lease } from './lease-rules.ts';
import type { Listen } from './listens.ts';
import type { Mount } from './mount.ts';

export interface ListenRequest {
  readonly mount: Mount;
  readonly principal: Principal;
  readonly request: Request;
  readonly exchange: Exchange;
}

/** Subscriptions asked for at once: many servers do one thing at a time. */
const AT_ONCE = 16;
/** How long a listen waits for the lists that it is to compare with. */
const LISTS_MS = 2000;

export function serveListen({ mount, principal, request, exchange }: ListenRequest): void {
  const wish = readFilter(request);
  const { listenUris } = mount.config.limits;
  const isTooMany = !('fault' in wish) && wish.uris.length > listenUris;
  if ('fault' in wish || isTooMany) {
    const error =
      'fault' in wish
        ? new ProxyError('invalid_params', wish.fault)
        : overLimit('invalid_params', 'limits.listenUris', `more than ${listenUris} resources`);
    exchange.finish({ kind: 'error', error });
    return;
  }
  const profile = mount.askable(readEnvelope(request).profile);
  const id = new Uint8Array(bytesOf(request.bytes, request.id));
  let waits = true;
  const leave = mount.lease({ principal, profile, exclusive: false, mayAskBack: false }, (result) => {
    waits = false;
    if (result instanceof ProxyError || !exchange.isOpen) {
      if (!(result instanceof ProxyError)) result.release('reuse');
      exchange.attend(null);
      if (result instanceof ProxyError) exchange.finish({ kind: 'error', error: result });
      return;
    }
    const key = mount.key(principal, profile);
    const filter = honoured(wish, result.conversation.handshake.offers);
    const listen: Listen = {
      id,
      exchange,
      principal,
      filter,
      key,
      catalog: mount.modern.catalog(principal, profile),
      wants: mount.modern.newWants(key),
      release: mount.keepOpen(key),
    };
    mount.modern.listens.begin(listen);
    prepare(listen, mount, result).then(
      () => mount.modern.listens.acknowledge(listen),
      (thrown: unknown) => mount.modern.listens.failed(listen, asProxyError(thrown)),
    );
  });
  // A link may have been there at once, and the exchange is the listen's from then on.
  if (waits) exchange.attend(leave);
}

/** The upstream has agreed to what the filter then says; the lists are there to be compared with. */
async function prepare(listen: Listen, mount: Mount, lease: Lease<Conversation>): Promise<void> {
  const { filter, key, catalog, exchange } = listen;
  try {
    // Wanted first: whoever takes a link meanwhile must not take it back.
    for (const uri of filter.uris) listen.wants.subscribe(uri);
    const refused = await subscribe(mount, lease.conversation, filter.uris, exchange);
    for (const uri of refused) listen.wants.unsubscribe(uri);
    listen.filter = { ...filter, uris: filter.uris.filter((uri) => !refused.has(uri)) };
    if (filter.uris.length > 0) mount.tellListened(key, mount.modern.wants(key));
  } finally {
    lease.release('reuse');
  }
  if (!exchange.isOpen) return;
  const methods = Object.entries(LIST_METHODS).filter(([, { kind }]) => filter.lists.includes(kind));
  const listed = Promise.all(methods.map(([method]) => catalog.list(method as ListMethod)));
  let late = (): void => {};
  const timer = mount.timers.after(LISTS_MS, () => late());
  await Promise.race([listed, new Promise<void>((resolve) => (late = resolve))]);
  timer.cancel();
}

/** Those that the upstream refuses. What is lost with the link is asked for again on the next. */
async function subscribe(
  mount: Mount,
  conversation: Conversation,
  uris: SubscriptionFilter['uris'],
  exchange: Exchange,
): Promise<ReadonlySet<string>> {
  const refused = new Set<string>();
  for (let from = 0; from < uris.length && exchange.isOpen; from += AT_ONCE) {
    const some = uris.slice(from, from + AT_ONCE).filter((uri) => !conversation.told.has(uri));
    for (const uri of some) conversation.told.noteSubscribed(uri);
    // oxlint-disable-next-line no-await-in-loop -- a few at a time
    await Promise.all(
      some.map(async (uri) => {
        const answer = await conversation.request('resources/subscribe', { uri }, mount.config.timeouts.initialize);
        const isTaken = typeof answer === 'object' && !(answer instanceof ProxyError) && answer.kind === 'result';
        if (answer === 'lost' || isTaken) return;
        refused.add(uri);
        conversation.told.noteUnsubscribed(uri);
      }),
    );
  }
  return refused;
}
