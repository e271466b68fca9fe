// Sends one message to the upstream's POST URL and says what became of it. Never global fetch: it was measured at five
// times the cost of dispatch. Whether a byte was written decides whether a message may be sent again.

import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type ErrorCode, ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import type { Chunks, PostOutcome, Timer, Timers } from '../domain/ports.ts';
import type { PostTarget } from '../domain/states.ts';
import { joined } from '../protocol/json-rpc.ts';
import type { RefusalOf } from './credential-refusal.ts';
import { codeOf, connectError } from './network-error.ts';

export function postTarget({ origin, pathname, search }: URL): PostTarget {
  return { origin, path: pathname + search };
}

export interface PostRequest {
  readonly to: PostTarget;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Chunks;
  /** Until the response has ended, however slowly it comes. Null: whoever sends it gives it up in time. */
  readonly deadlineMs: number | null;
  readonly timers: Timers;
  readonly refusalOf: RefusalOf;
  /** A response body longer than this is no answer. */
  readonly maxBodyBytes: number;
  /** Called once, never before `post` returns, and not after the POST was given up. */
  readonly done: (outcome: PostOutcome) => void;
}

/** Of an accepted POST's body that is no answer, so much is read to keep the connection. */
const IDLE_BODY_BYTES = 64 * 1024;
/** Enough of an error's body to see whether it names the session. */
const ERROR_BODY_BYTES = 4096;
/** So much of a message is enough to know it again where it is repeated, perhaps cut. */
const ECHO_BYTES = 64;

/** Returns a function that gives the POST up. */
export function post(dispatcher: Dispatcher, request: PostRequest): () => void {
  const handler = new PostHandler(request);
  dispatcher.dispatch(
    {
      ...request.to,
      method: 'POST',
      headers: request.headers,
      body: request.body.length === 1 && request.body[0] !== undefined ? request.body[0] : Buffer.concat(request.body),
      // undici's own start anew with every byte of the body.
      headersTimeout: 0,
      bodyTimeout: 0,
    },
    handler,
  );
  handler.dispatched();
  return () => handler.giveUp();
}

class PostHandler implements Dispatcher.DispatchHandler {
  readonly #request: PostRequest;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #refusal: ProxyError | null = null;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  /** The outcome is told, or of no interest any more. */
  #done = false;
  #isDispatching = true;
  readonly #deadline: Timer | null;

  constructor(request: PostRequest) {
    this.#request = request;
    const { deadlineMs, timers } = request;
    this.#deadline = deadlineMs === null ? null : timers.after(deadlineMs, () => this.#late());
  }

  dispatched(): void {
    this.#isDispatching = false;
  }

  giveUp(): void {
    if (this.#done) return;
    this.#done = true;
    this.#deadline?.cancel();
    this.#controller?.abort(new Error('given up'));
  }

  #late(): void {
    const error = overLimit('post_timeout', 'timeouts.post', 'the upstream did not answer the POST in time');
    const isAccepted = this.#isAccepted() && !this.#looksLikeAnswer();
    this.#settle(isAccepted ? { kind: 'accepted', body: null } : { kind: 'broken', error });
    this.#controller?.abort(new Error('too late'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Given up while it still waited for a connection: it must not be sent now.
    if (this.#done) controller.abort(new Error('given up'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Informational ones come before the one that counts, which overwrites them.
    this.#status = status;
    this.#refusal = this.#request.refusalOf(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    const limit = !this.#isAccepted()
      ? ERROR_BODY_BYTES
      : this.#isAnswer(chunk)
        ? this.#request.maxBodyBytes
        : IDLE_BODY_BYTES;
    const room = limit - this.#bodyBytes;
    this.#bodyBytes += chunk.length;
    if (room > 0 && limit !== IDLE_BODY_BYTES) this.#body.push(chunk.subarray(0, room));
    if (this.#bodyBytes <= limit) return;
    // Enough is known: the rest is neither kept nor read.
    this.#settle(this.#outcome());
    this.#controller?.abort(new Error('too long'));
  }

  onResponseEnd(): void {
    this.#settle(this.#outcome());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isAccepted()) {
      // The status said it: what broke is only the body behind it, which matters if it was the answer.
      const failure = new ProxyError('post_failed', 'the answer in the response to the POST broke off', {
        cause: error,
      });
      this.#settle(this.#looksLikeAnswer() ? { kind: 'broken', error: failure } : { kind: 'accepted', body: null });
    } else if (this.#controller === null) {
      const reason = connectError(error);
      this.#settle({
        kind: 'unsent',
        error: new ProxyError(reason.code, reason.message, { ...reason.details, cause: error }),
      });
    } else {
      this.#settle({
        kind: 'broken',
        error: new ProxyError('post_failed', `the connection broke while the message was sent (${codeOf(error)})`, {
          cause: error,
        }),
      });
    }
  }

  #isAccepted(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  #settle(outcome: PostOutcome): void {
    if (this.#done) return;
    this.#done = true;
    this.#deadline?.cancel();
    this.#body = [];
    // A destroyed dispatcher fails within dispatch, when the caller is not ready for an outcome yet.
    if (this.#isDispatching) queueMicrotask(() => this.#request.done(outcome));
    else this.#request.done(outcome);
  }

  #outcome(): PostOutcome {
    const status = this.#status;
    if (this.#isAccepted()) return this.#accepted();
    if (this.#refusal !== null) return { kind: 'rejected', error: this.#refusal };
    if (status === 404 || status === 410) return { kind: 'session_refused' };
    if ((status === 400 || status === 401) && this.#namesSession()) return { kind: 'session_refused' };
    const failed = (code: ErrorCode, text: string): ProxyError =>
      new ProxyError(code, text, { upstreamStatus: status });
    if (status === 503)
      return { kind: 'session_gone', error: failed('post_failed', 'the upstream has lost the session') };
    if (status >= 500)
      return { kind: 'broken', error: failed('post_failed', 'the upstream failed to take the message') };
    return { kind: 'rejected', error: failed('post_rejected', 'the upstream refused the message') };
  }

  /** In words of its own: some repeat the message that they refuse, and that may say anything. */
  #namesSession(): boolean {
    const sent = joined(...this.#request.body);
    const said = Buffer.concat(this.#body);
    const repeated = said.indexOf(sent.subarray(0, ECHO_BYTES));
    const own =
      repeated === -1 ? said : Buffer.concat([said.subarray(0, repeated), said.subarray(repeated + sent.length)]);
    return /session/i.test(own.toString('latin1'));
  }

  #accepted(): PostOutcome {
    if (!this.#looksLikeAnswer()) return { kind: 'accepted', body: null };
    const { maxBodyBytes } = this.#request;
    if (this.#bodyBytes <= maxBodyBytes) return { kind: 'accepted', body: Buffer.concat(this.#body) };
    const text = `the upstream sent a message over ${maxBodyBytes} bytes`;
    return { kind: 'broken', error: overLimit('upstream_message_too_large', 'limits.upstreamMessageBytes', text) };
  }

  #isAnswer(chunk: Buffer): boolean {
    return this.#bodyBytes === 0 ? startsLikeJson(chunk) : this.#looksLikeAnswer();
  }

  #looksLikeAnswer(): boolean {
    const [first] = this.#body;
    return first !== undefined && startsLikeJson(first);
  }
}

/** Only this can be a JSON-RPC message: most servers say `Accepted`, or nothing. */
function startsLikeJson(bytes: Buffer): boolean {
  const first = bytes.find((byte) => byte > 0x20);
  return first === 0x7b || first === 0x5b;
}
