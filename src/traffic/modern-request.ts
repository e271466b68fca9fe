// One request of a client of 2026-07-28. It stands alone: whatever is needed is in it, or is sealed into the state that
// the client was given.

import type { Exchange } from '../bridge/exchange.ts';
import { ProxyError, isCredentialRefusal, asProxyError } from '../domain/errors.ts';
import { ALL_REVISIONS } from '../protocol/eras.ts';
import { membersOf, textOf } from '../protocol/json-rpc.ts';
import { LOG_LEVELS } from '../protocol/log-level.ts';
import { methodRow } from '../protocol/methods.ts';
import { readEnvelope } from '../protocol/modern-envelope.ts';
import { discoverResult } from '../protocol/modern-result.ts';
import { paramHeaderFault } from '../protocol/param-headers.ts';
import { type ListMethod, isListMethod } from './catalog.ts';
import { told } from './modern-answer.ts';
import { type Ask, type ModernRequest, fail } from './modern-ask.ts';
import { callUpstream, retry } from './modern-call.ts';

/** How long a call waits for the list that says which headers it needs. */
const CATALOG_MS = 2000;

/** Of a request that classify() has let pass. */
export function serveModern(given: ModernRequest): void {
  const { mount, principal, request, exchange } = given;
  const envelope = readEnvelope(request);
  const { logLevel } = envelope;
  if (logLevel === undefined) {
    // [spec 2026-07-28 logging] an unknown level is −32602.
    fail(exchange, 'invalid_params', `the log level must be one of ${LOG_LEVELS.join(', ')}`);
    return;
  }
  const profile = mount.askable(envelope.profile);
  const catalog = mount.modern.catalog(principal, profile);
  const answerable = mount.answerable(envelope.profile);
  const ask: Ask = { ...given, envelope, logLevel, profile, answerable, catalog, row: methodRow(request.method) };
  const isRetry = ask.row.mayAskBack === true && request.params?.members.has('requestState') === true;
  const whenFit = request.method === 'tools/call' ? whenHeadersFit : (_: Ask, go: () => void): void => go();
  if (request.method === 'server/discover') discover(ask);
  else if (isListMethod(request.method)) answerList(ask, request.method);
  else if (isRetry) retry(ask, whenFit);
  else whenFit(ask, () => callUpstream(ask));
}

/** What throws on the way to an answer is a bug of ours, and the answer. */
function answering<T>(exchange: Exchange, coming: Promise<T>, act: (value: T) => void): Promise<void> {
  return coming.then(act).catch((thrown: unknown) => exchange.finish({ kind: 'error', error: asProxyError(thrown) }));
}

// Answered from what is known

function discover({ mount, catalog, exchange }: Ask): void {
  const answer = (): void => {
    const { handshake } = catalog;
    if (handshake === null) {
      fail(exchange, 'upstream_unavailable', 'the upstream has not been reached yet');
      return;
    }
    const cache = { ttlMs: mount.cache.ttl, scope: mount.cache.scope };
    const delivers = { listChanged: true, subscribe: true };
    exchange.finish({
      kind: 'own',
      result: discoverResult(handshake, { supported: ALL_REVISIONS, cache, delivers }),
    });
  };
  if (mount.hasOpenLink(catalog.of) && catalog.handshake !== null) {
    answer();
    return;
  }
  const leave = mount.lease({ ...catalog.of, exclusive: false, mayAskBack: false }, (result) => {
    if (!exchange.isOpen) {
      if (!(result instanceof ProxyError)) result.release('reuse');
      return;
    }
    exchange.attend(null);
    if (!(result instanceof ProxyError)) result.release('reuse');
    // What it said last is better than nothing: a client that hears nothing takes the server for an older one.
    const isHopeless = result instanceof ProxyError && (catalog.handshake === null || isCredentialRefusal(result));
    if (isHopeless) exchange.finish({ kind: 'error', error: result });
    else answer();
  });
  if (exchange.isOpen) exchange.attend(leave);
}

function answerList(ask: Ask, method: ListMethod): void {
  const { catalog, exchange, request } = ask;
  const cursor =
    request.params === null ? undefined : membersOf(request, request.params, CURSOR)?.members.get('cursor');
  if (cursor !== undefined && cursor.kind !== 'null') {
    // Lists are whole, so none was ever given.
    fail(exchange, 'invalid_params', 'params.cursor is none that was given here');
    return;
  }
  exchange.sent();
  const { listed: coming, leave } = catalog.ask(method);
  exchange.attend(leave);
  void answering(exchange, coming, (listed) => {
    exchange.attend(null);
    if (listed instanceof ProxyError) {
      exchange.finish({ kind: 'error', error: listed });
      return;
    }
    const verdict = told(listed, ask, catalog.handshake);
    exchange.finish('kind' in verdict ? verdict : { kind: 'answer', answer: listed, ...verdict });
  });
}

const CURSOR = new Set(['cursor']);
const ARGUMENTS = new Set(['arguments']);

/** Where a tool wants some of its arguments in headers, they must agree. */
function whenHeadersFit(ask: Ask, go: () => void): void {
  const { mount, catalog, request, exchange, headers } = ask;
  const name = request.params?.members.get('name');
  if (mount.paramHeaders === 'strip' || name?.kind !== 'string') {
    go();
    return;
  }
  const tool = textOf(request.bytes, name);
  const fault = (): string | null => {
    const params = catalog.paramHeaders(tool);
    if (params === null || params.length === 0) return null;
    const args =
      (request.params === null ? undefined : membersOf(request, request.params, ARGUMENTS)?.members.get('arguments')) ??
      null;
    return paramHeaderFault(params, request.bytes, args, headers);
  };
  if (catalog.paramHeaders(tool) !== null && fault() === null) {
    go();
    return;
  }
  // Never refused by a list that may be out of date; and what cannot be known in time is not asked for.
  let isOver = false;
  const decide = (): void => {
    if (isOver) return;
    isOver = true;
    timer.cancel();
    const why = isKnown ? fault() : null;
    if (!exchange.isOpen) return;
    if (why === null) go();
    else fail(exchange, 'header_mismatch', why);
  };
  let isKnown = false;
  const timer = mount.timers.after(CATALOG_MS, decide);
  void answering(exchange, catalog.list('tools/list'), (listed) => {
    isKnown = !(listed instanceof ProxyError);
    if (listed instanceof ProxyError && isCredentialRefusal(listed)) {
      // The call would be refused as well.
      isOver = true;
      timer.cancel();
      if (exchange.isOpen) exchange.finish({ kind: 'error', error: listed });
      return;
    }
    decide();
  });
}
