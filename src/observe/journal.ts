// Facts → log lines and counts. The message is constant, the facts are fields.

import type { Logger } from 'pino';
import { ERRORS, ProxyError } from '../domain/errors.ts';
import type { Fact, Journal } from '../domain/ports.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

interface Line {
  readonly level: Level;
  readonly message: string;
  /** The count it adds to. */
  readonly count: string;
  /**
   * The level of the first of its kind in a minute: what can come by the thousand stays quiet, and is noticed all the
   * same.
   */
  readonly news?: Level;
}

/** Of exchanges, of which there are thousands a second: by outcome, and by reason where they failed. */
const EXCHANGES = new Map<string, Line>();

function exchangeLine({ outcome, reason }: Extract<Fact, { fact: 'exchange' }>): Line {
  const how = reason ?? outcome;
  let line = EXCHANGES.get(how);
  if (line === undefined) {
    line = {
      level: reason === 'internal_error' ? 'error' : 'info',
      message: 'exchange',
      count: `exchange.${how}`,
      ...(outcome === 'failed' && { news: 'warn' }),
    };
    EXCHANGES.set(how, line);
  }
  return line;
}

function lineOf(fact: Fact): Line {
  switch (fact.fact) {
    case 'exchange':
      return exchangeLine(fact);
    case 'refused':
      return {
        level: fact.reason === 'internal_error' ? 'error' : 'info',
        message: 'refused',
        count: `refused.${fact.reason}`,
        // A limit of ours that is met, by whoever likes.
        ...(ERRORS[fact.reason].side === 'gateway' && { news: 'warn' }),
      };
    case 'dropped':
      return { level: 'debug', message: 'dropped', count: `dropped.${fact.what}`, news: 'info' };
    case 'link_open':
      return { level: 'debug', message: 'link open', count: 'link_open' };
    case 'link_closed':
      return {
        level: fact.reason === 'lost' ? 'warn' : 'debug',
        message: 'link closed',
        count: `link_closed.${fact.reason}`,
      };
    case 'link_failed':
      return { level: 'debug', message: 'link failed to open', count: `link_failed.${fact.reason}` };
    case 'upstream_up':
      return { level: 'info', message: 'upstream reached', count: 'upstream_up' };
    case 'upstream_down':
      return { level: 'warn', message: 'upstream cannot be used', count: 'upstream_down' };
    case 'breaker':
      return fact.isOpen
        ? { level: 'warn', message: 'upstream is not tried for a while', count: 'breaker.open' }
        : { level: 'info', message: 'upstream is tried again', count: 'breaker.closed' };
    case 'single_by_proof':
      return {
        level: 'warn',
        message:
          'the upstream sends answers to links that did not ask: from now on one link is used (start with --single)',
        count: 'single_by_proof',
      };
    case 'single_impossible':
      return {
        level: 'error',
        message:
          'the upstream sends answers to links that did not ask, and callers who bring their own credentials cannot share one: calls at the same time will fail',
        count: 'single_impossible',
      };
    case 'single_hint':
      return {
        level: 'warn',
        message: 'links die when another is opened: if the server survives one connection only, start with --single',
        count: 'single_hint',
      };
    case 'session_opened':
      return { level: 'info', message: 'session opened', count: 'session_opened' };
    case 'fault':
      return { level: 'error', message: 'fault', count: 'fault' };
    case 'session_reopened':
      return { level: 'info', message: 'session reopened', count: 'session_reopened' };
    case 'stream_opened':
      return { level: 'debug', message: 'stream opened', count: `stream_opened.${fact.how}` };
    case 'passthrough_opened':
      return { level: 'debug', message: 'passthrough opened', count: 'passthrough_opened' };
    case 'passthrough':
      return { level: 'info', message: 'passthrough', count: `passthrough.${fact.reason ?? 'passed'}` };
    case 'hop':
      // The owner has a line of what was served.
      return {
        level: 'debug',
        message: 'hop',
        count: `hop.${fact.outcome}`,
        ...(!['served', 'client_gone', 'ended'].includes(fact.outcome) && { news: 'warn' }),
      };
    case 'hop_refused':
      return {
        level: 'debug',
        message: 'refused at the listener for replicas',
        count: `hop_refused.${fact.why}`,
        news: 'warn',
      };
    case 'peer':
      return {
        level:
          fact.state === 'up' || fact.state === 'draining' ? 'info' : fact.state === 'unreachable' ? 'warn' : 'error',
        message: 'replica',
        count: `peer.${fact.state}`,
      };
    case 'reloaded':
      return { level: 'info', message: 'configuration reloaded', count: 'reloaded' };
    case 'keys_unread':
      return { level: 'warn', message: 'keys of the issuer cannot be fetched', count: 'keys_unread' };
    case 'keys_unusable':
      return { level: 'warn', message: 'keys of the issuer cannot be used', count: 'keys_unusable' };
    case 'needs_restart':
      return { level: 'warn', message: 'needs a restart: kept as it was', count: 'needs_restart' };
    case 'certificate_renewed':
      return { level: 'info', message: 'certificate renewed', count: 'certificate_renewed' };
    case 'reload_failed':
      return {
        level: 'cause' in fact ? 'error' : 'warn',
        message: 'configuration not reloaded: everything stays as it was',
        count: 'reload_failed',
      };
    case 'store_up':
      return { level: 'info', message: 'store in use', count: 'store_up' };
    case 'store_down':
      return {
        level: 'warn',
        message: 'store cannot be used: sessions go on, and would end with this process',
        count: 'store_down',
      };
    case 'store_operation':
      return {
        level: 'debug',
        message: 'store operation',
        count: `store_operation.${fact.operation}.${fact.outcome}`,
      };
    case 'store_rejected':
      return {
        level: 'warn',
        message: 'store holds what is not ours: passed over',
        count: `store_rejected.${fact.what}`,
      };
    case 'store_dropped':
      return { level: 'debug', message: 'not written to the store in time', count: 'store_dropped', news: 'info' };
    case 'takeover':
      return { level: 'info', message: 'session of another replica', count: `takeover.${fact.outcome}` };
    case 'session_ended':
      return { level: 'info', message: 'session ended', count: `session_ended.${fact.why}` };
  }
}

export class LogJournal implements Journal {
  readonly #log: Logger;
  readonly #counts = new Map<string, number>();
  readonly #shownAt = new Map<string, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** How often each thing has happened. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** At the end of the process: how often each thing happened. */
  summarize(): void {
    this.#log.info({ counts: Object.fromEntries(this.#counts) }, 'counts');
  }

  record(fact: Fact): void {
    const { level: usual, message, count, news } = lineOf(fact);
    this.#counts.set(count, (this.#counts.get(count) ?? 0) + 1);
    const level = news !== undefined && usual !== 'error' && this.#isNews(count) ? news : usual;
    if (!this.#log.isLevelEnabled(level)) return;
    // The message says it.
    const fields = { ...fact, fact: undefined };
    if ('cause' in fields) fields.cause = describe(fields.cause);
    this.#log[level](fields, message);
  }

  #isNews(count: string): boolean {
    const now = performance.now();
    if (now - (this.#shownAt.get(count) ?? Number.NEGATIVE_INFINITY) < 60_000) return false;
    this.#shownAt.set(count, now);
    return true;
  }
}

/** A cause without its addresses: code and name; our own bugs with where they happened. */
function describe(cause: unknown): unknown {
  if (cause === undefined) return undefined;
  if (cause instanceof ProxyError) return { code: cause.code, message: cause.message };
  if (!(cause instanceof Error)) return typeof cause;
  const code = 'code' in cause ? cause.code : undefined;
  return code === undefined ? { name: cause.name, stack: whereOf(cause) } : { name: cause.name, code };
}

/** Without its message: that of a parser repeats what it could not read. */
export function whereOf({ name, stack = '' }: Error): string {
  return [name, ...stack.split('\n').filter((line) => /^\s+at /.test(line))].join('\n');
}
