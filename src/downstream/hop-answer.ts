// The answer to a request that was passed on, as it comes: its status, those of its headers that are ours to set, and its
// bytes, no faster than the client takes them. Told by undici; every way in which it can end leads to one outcome.

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { errorReply } from '../bridge/exchange.ts';
import { ProxyError } from '../domain/errors.ts';
import type { Timer } from '../domain/ports.ts';
import type { HopOutcome } from '../domain/replicas.ts';
import { watchWrites } from '../edge/taken.ts';
import { OWNER_HEADER } from '../protocol/hop-header.ts';
import { bytesOf, readMessage } from '../protocol/json-rpc.ts';
import { eventFrame } from '../protocol/sse-frames.ts';
import { refuse } from './error-reply.ts';
import type { Hop } from './open-exchange.ts';
import { writeWatch } from './raw-reply.ts';

/** What of the owner's headers is of its answer; the others are of this connection. */
const HEADERS = [
  'content-type',
  'content-length',
  'content-encoding',
  'cache-control',
  'x-accel-buffering',
  'x-content-type-options',
  'mcp-session-id',
  'retry-after',
  'allow',
  'www-authenticate',
] as const;
/** Clients of this revision and later come back to a stream that was cut. */
const RESUMES_FROM = '2025-11-25';
const LF = 0x0a;
/** Beyond the heartbeats that an owner sends, three of which may be missing. */
const SLACK_MS = 1000;

export interface HopEnd {
  /** `again`: it ended before anything was said, and may be asked a second time. */
  readonly outcome: HopOutcome | 'again';
  readonly cause?: unknown;
}

export class HopAnswer implements Dispatcher.DispatchHandler {
  readonly #hop: Hop;
  readonly #mayAskAgain: boolean;
  readonly #settle: (end: HopEnd) => void;
  #isOver = false;
  /** Set once the request is being written. */
  #controller: Dispatcher.DispatchController | null = null;
  /** What the listener there says in place of an answer. */
  #verdict: string | null = null;
  #isAnswering = false;
  #isStream = false;
  #length = Number.NaN;
  /** The last two bytes that were written are the end of an event, or there are none yet. */
  #isBetween = true;
  #lastByte = LF;
  /** It ends between two events, with this as the last one. */
  #ending: { readonly error: ProxyError | null } | null = null;
  #isWatched = false;
  #silence: Timer | null = null;
  #heardAt = 0;

  /** `settle`: told once, when nothing more will be said to the client by this. */
  constructor(hop: Hop, mayAskAgain: boolean, settle: (end: HopEnd) => void) {
    this.#hop = hop;
    this.#mayAskAgain = mayAskAgain;
    this.#settle = settle;
    hop.incoming.reply.raw.on('close', this.#clientClosed);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver || this.#raw.destroyed) controller.abort(new Error('the client left'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#isOver) return;
    const verdict = headers[OWNER_HEADER];
    if (typeof verdict === 'string') {
      this.#verdict = verdict;
      return;
    }
    this.#isAnswering = true;
    this.#isStream = headers['content-type']?.startsWith('text/event-stream') === true;
    this.#length = Number(headers['content-length'] ?? Number.NaN);
    const { reply, mount } = this.#hop.incoming;
    reply.hijack();
    this.#raw.writeHead(status, picked(headers));
    if (!this.#isStream) return;
    this.#raw.flushHeaders();
    this.#heardAt = mount.clock.now();
    this.#watchSilence();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver || !this.#isAnswering) return;
    this.#heardAt = this.#hop.incoming.mount.clock.now();
    if (this.#ending !== null) {
      const end = this.#endOfEvent(chunk);
      if (end === -1) this.#write(controller, chunk);
      else this.#raw.write(chunk.subarray(0, end));
      if (end !== -1) this.#endNow(this.#ending.error, 'ended');
    } else if (chunk.length === this.#length) {
      // With its headers, in one piece.
      this.#raw.end(chunk);
    } else {
      this.#write(controller, chunk);
    }
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    if (this.#verdict !== null) {
      this.#judged(this.#verdict);
      return;
    }
    this.#raw.end();
    if (this.#raw.writableLength > 0) this.#watchWrites();
    this.#done({ outcome: 'served' });
  }

  onResponseError(_: Dispatcher.DispatchController, cause: Error): void {
    if (this.#isOver) return;
    if (this.#raw.destroyed) this.#done({ outcome: 'client_gone' });
    else if (this.#verdict !== null) this.#judged(this.#verdict);
    else if (this.#controller === null) this.#done({ outcome: 'unreachable', cause });
    else if (!this.#isAnswering && this.#mayAskAgain && !isLate(cause)) this.#done({ outcome: 'again' });
    else this.#lost(cause);
  }

  /** The owner shows no life: what may have reached it may be carried out, and nobody will hear of it. */
  ownerSilent(): void {
    if (this.#isOver || this.#verdict !== null) return;
    const cause = new Error('the owner shows no sign of life');
    const hasNoEffect = this.#controller === null || this.#hop.incoming.request.method !== 'POST';
    if (!this.#isAnswering && hasNoEffect) this.#done({ outcome: 'silent', cause });
    else this.#lost(cause);
    this.#controller?.abort(cause);
  }

  /** The gateway stops. A stream whose client comes back ends between two events, another one with this error. */
  end(error: ProxyError): void {
    if (this.#isOver) return;
    const told = this.#controller === null ? error : error.afterSending('unknown');
    if (!this.#isAnswering) {
      this.#refuse(told);
      this.#done({ outcome: 'ended' });
      this.#controller?.abort(error);
    } else if (this.#isStream) {
      this.#ending = { error: this.#comesBack ? null : told };
      if (this.#isBetween) this.#endNow(this.#ending.error, 'ended');
    }
  }

  readonly #clientClosed = (): void => {
    if (this.#isOver) return;
    // What was written to its end and taken is over as well; this comes when the owner has not come to its end.
    this.#done({ outcome: 'client_gone' });
    this.#controller?.abort(new Error('the client left'));
  };

  get #raw() {
    return this.#hop.incoming.reply.raw;
  }

  /** A GET is opened anew; of what clients of older revisions have asked for there is nothing more to be had. */
  get #comesBack(): boolean {
    const { incoming, to } = this.#hop;
    const version = incoming.request.headers['mcp-protocol-version'];
    return (
      incoming.request.method === 'GET' ||
      (to.sessionId !== null && typeof version === 'string' && version >= RESUMES_FROM)
    );
  }

  #judged(verdict: string): void {
    if (verdict === 'gone' || verdict === 'unknown') {
      this.#done({ outcome: verdict });
      return;
    }
    this.#refuse(
      new ProxyError('owner_lost', 'the replica that holds this does not take what is passed on to it', {
        outcome: 'not_executed',
      }),
    );
    this.#done({ outcome: 'refused' });
  }

  #lost(cause: Error): void {
    const error = new ProxyError('owner_lost', 'the replica that holds this was lost before it had answered', {
      cause,
    }).afterSending('unknown');
    if (!this.#isAnswering) this.#refuse(error);
    else if (this.#isStream && this.#isBetween && !this.#comesBack) this.#endNow(error, 'lost', cause);
    else this.#raw.destroy();
    this.#done({ outcome: 'lost', cause });
  }

  #endNow(error: ProxyError | null, outcome: HopOutcome, cause?: Error): void {
    const id = error === null ? null : requestIdOf(this.#hop);
    if (error !== null && id !== null) {
      const { body } = errorReply(id, error, this.#hop.incoming.mount.name);
      for (const piece of eventFrame(body)) this.#raw.write(piece);
    }
    this.#raw.end();
    this.#done({ outcome, ...(cause && { cause }) });
    this.#controller?.abort(new Error('the stream was ended'));
  }

  /** What has no id has no outcome that its client could be told of. */
  #refuse(error: ProxyError): void {
    const { reply, deps } = this.#hop.incoming;
    const id = requestIdOf(this.#hop);
    const told =
      id === null
        ? new ProxyError(error.code, error.message, { ...error.details, cause: error.cause, reached: false })
        : error;
    void refuse(reply, deps.journal, told, id);
  }

  #write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const before = chunk.length > 1 ? chunk[chunk.length - 2] : this.#lastByte;
    this.#lastByte = chunk[chunk.length - 1] ?? this.#lastByte;
    this.#isBetween = this.#lastByte === LF && before === LF;
    if (this.#raw.write(chunk)) return;
    this.#watchWrites();
    controller.pause();
    this.#raw.once('drain', () => controller.resume());
  }

  /** Only where the client has not taken it at once. */
  #watchWrites(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    watchWrites(this.#raw, writeWatch(this.#hop.incoming.mount));
  }

  /** Where the event ends that was under way; -1: not in these bytes. */
  #endOfEvent(chunk: Buffer): number {
    if (this.#lastByte === LF && chunk[0] === LF) return 1;
    const at = chunk.indexOf('\n\n');
    return at === -1 ? -1 : at + 2;
  }

  /** An owner shows its life: a machine that is gone without a word would leave the client waiting. */
  #watchSilence(): void {
    const { mount } = this.#hop.incoming;
    const silentMs = 3 * mount.config.heartbeat + SLACK_MS;
    this.#silence = mount.timers.after(silentMs, () => {
      const isSilent = mount.clock.now() - this.#heardAt >= silentMs && !this.#raw.writableNeedDrain;
      if (isSilent) this.#controller?.abort(new Error('the owner sends no heartbeats'));
      else this.#watchSilence();
    });
  }

  #done(end: HopEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#silence?.cancel();
    this.#raw.off('close', this.#clientClosed);
    this.#settle(end);
  }
}

/**
 * Of the one request that is passed on; null: it is none, or several, or an old client's: that one hears of it by the status, as
 * answers come on its stream, and 200 would say that they will.
 */
export function requestIdOf({ body, target, incoming }: Hop): Uint8Array | null {
  if (body === null || target !== incoming.mount.path) return null;
  const message = readMessage(body, { maxDepth: incoming.mount.config.limits.jsonDepth });
  return message.kind === 'request' ? bytesOf(message.bytes, message.id) : null;
}

/** The connection is there, and nothing comes over it. */
function isLate(cause: Error): boolean {
  return 'code' in cause && cause.code === 'UND_ERR_HEADERS_TIMEOUT';
}

function picked(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const ours: Record<string, string | string[]> = {};
  for (const name of HEADERS) {
    const value = headers[name];
    if (value !== undefined) ours[name] = value;
  }
  return ours;
}
