// The requests by which a client says what it wants to be told: a log level, and updates of resources. On a session's own
// link they cross, and are remembered for the link that may have to take its place; on a link that many share the
// upstream is told what all of them want together.

import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import { type Request, textOf } from '../protocol/json-rpc.ts';
import { LOG_LEVELS, isLogLevel } from '../protocol/log-level.ts';
import type { ServerOffers } from '../protocol/upstream-handshake.ts';
import type { Conversation } from './conversation.ts';
import type { Mount } from './mount.ts';
import type { Wants } from './wants.ts';

export interface WantsRequest {
  readonly request: Request;
  readonly exchange: Exchange;
  readonly mount: Mount;
  /** Of this session. */
  readonly wants: Wants;
  /** Of the upstream. */
  readonly offers: ServerOffers | null;
  /** Passes the request on; `onResult` is told if the upstream answers with a result, on this conversation. */
  readonly attempt: (onResult: (on: Conversation) => void) => void;
}

/** How many resources one session may be told of. */
const MAX_SUBSCRIPTIONS = 1000;
/** A URI that is subscribed to is kept as long as the session lives. */
const MAX_URI_LENGTH = 8192;
const MAX_URI_CHARACTERS = 131_072;

export function serveWants(wish: WantsRequest): void {
  if (wish.request.method === 'logging/setLevel') {
    setLevel(wish);
    return;
  }
  const uri = textParam(wish.request, 'uri');
  if (wish.offers?.subscribe !== true) {
    fail(wish, 'method_not_found', 'the server behind this endpoint does not offer subscriptions');
  } else if (uri === null || uri.length > MAX_URI_LENGTH) {
    fail(wish, 'invalid_params', `params.uri must be a string of at most ${MAX_URI_LENGTH} characters`);
  } else if (wish.request.method === 'resources/subscribe') {
    subscribe(wish, uri);
  } else {
    unsubscribe(wish, uri);
  }
}

function setLevel(wish: WantsRequest): void {
  const { request, mount, wants, offers, attempt } = wish;
  const level = textParam(request, 'level');
  if (offers?.logging !== true) {
    fail(wish, 'method_not_found', 'the server behind this endpoint does not offer logging');
  } else if (!isLogLevel(level)) {
    // [spec 2025-11-25 logging] "Invalid log level: -32602 (Invalid params)".
    fail(wish, 'invalid_params', `params.level must be one of ${LOG_LEVELS.join(', ')}`);
  } else if (mount.isSingle) {
    wants.setLevel(level);
    tellTogether(wish);
  } else {
    attempt((on) => {
      on.told.noteLevel(level);
      wants.setLevel(level);
    });
  }
}

function subscribe(wish: WantsRequest, uri: string): void {
  const { mount, wants, attempt } = wish;
  if (!wants.uris.has(uri) && isFull(wants, uri)) {
    fail(
      wish,
      'subscriptions_limit',
      `a session can subscribe to ${MAX_SUBSCRIPTIONS} resources, whose URIs hold ${MAX_URI_CHARACTERS} characters`,
    );
  } else if (mount.isSingle && mount.onlyLink.wants.uris.has(uri)) {
    // Somebody on the link has subscribed to it already.
    wants.subscribe(uri);
    tellTogether(wish);
  } else {
    attempt((on) => {
      // Asked for at the same time as others: beyond the bound it is not replayed.
      if (isFull(wants, uri)) return;
      on.told.noteSubscribed(uri);
      wants.subscribe(uri);
    });
  }
}

function isFull({ uris }: Wants, another: string): boolean {
  let characters = another.length;
  for (const { length } of uris) characters += length;
  return uris.size >= MAX_SUBSCRIPTIONS || characters > MAX_URI_CHARACTERS;
}

function unsubscribe(wish: WantsRequest, uri: string): void {
  const { mount, wants, attempt } = wish;
  if (mount.isSingle) {
    // Others on the link may want it still.
    wants.unsubscribe(uri);
    tellTogether(wish);
    return;
  }
  attempt((on) => {
    on.told.noteUnsubscribed(uri);
    wants.unsubscribe(uri);
  });
}

function tellTogether({ mount, exchange }: WantsRequest): void {
  mount.onlyLink.tellWants((error) =>
    exchange.finish(error === null ? { kind: 'own', result: {} } : { kind: 'error', error }),
  );
}

function textParam(request: Request, name: string): string | null {
  const member = request.params?.members.get(name);
  return member?.kind === 'string' ? textOf(request.bytes, member) : null;
}

function fail(
  { exchange }: WantsRequest,
  code: 'method_not_found' | 'invalid_params' | 'subscriptions_limit',
  why: string,
): void {
  exchange.finish({ kind: 'error', error: new ProxyError(code, why) });
}
