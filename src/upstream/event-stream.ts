// One GET of the upstream's event stream, and the only user of `eventsource`. Hands out Buffers, never strings.
//
// `eventsource` reads what is about the stream itself (the endpoint event, whatever else a server invents). Message
// frames are cut out of the bytes before it decodes them: decoding and encoding again was measured to cost more than
// the rest of a large call (bench/README.md). Of its other habits none is left: one connect per object (it would
// reconnect, but a new connection is a new upstream session), no redirects, no compression, every listener caught.

import type { IncomingHttpHeaders } from 'node:http';
import { EventSource, type FetchLike } from 'eventsource';
import { Client, type Dispatcher, type buildConnector } from 'undici';
import { type ErrorCode, ProxyError } from '../domain/errors.ts';
import { overLimit } from '../domain/over-limit.ts';
import { SseFrameCutter } from '../protocol/sse-frame-cutter.ts';
import type { Connector } from './connector.ts';
import { connectError } from './network-error.ts';
import type { RefusalOf } from './credential-refusal.ts';

/** Who wants to know what a stream was like is told before anything is made of it. */
export interface StreamWatch {
  head(status: number, headers: IncomingHttpHeaders): void;
  bytes(chunk: Buffer): void;
  endpoint(announced: string): void;
}

export interface EventStreamOptions {
  readonly url: URL;
  /** Credential headers of the upstream, or of a caller. */
  readonly headers: Readonly<Record<string, string>>;
  readonly refusalOf: RefusalOf;
  readonly connector: Connector | buildConnector.connector;
  readonly headersMs: number;
  readonly maxMessageBytes: number;
  readonly watch?: StreamWatch | undefined;
  /** The response is an event stream; messages may follow before this object's endpoint event does. */
  readonly onOpen: () => void;
  readonly onEndpoint: (announced: string) => void;
  /** The data of one message event; its bytes are not used again by anyone else. */
  readonly onMessage: (data: Buffer) => void;
  /** An event of a type that the transport does not have. */
  readonly onUnknown: () => void;
  /** Any byte at all arrived. */
  readonly onAlive: () => void;
  /** Called once, for every way a stream can end but `close`. */
  readonly onEnd: (error: ProxyError) => void;
}

/** The part of a web response that `eventsource` looks at. */
interface FetchedStream {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: { get(name: string): string | null };
  readonly body: {
    getReader(): {
      read(): Promise<{ done: false; value: Uint8Array } | { done: true; value?: undefined }>;
      cancel(): Promise<void>;
    };
  };
}

/** An endpoint event longer than this is none. */
const MAX_OTHER_CHARS = 64 * 1024;
const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i;

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #client: Client;
  readonly #source: EventSource;
  readonly #cutter: SseFrameCutter;
  readonly #rest = new FrameQueue();
  #controller: Dispatcher.DispatchController | null = null;
  #paused = 0;
  #connects = 0;
  #over = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#client = new Client(options.url.origin, {
      headersTimeout: options.headersMs,
      bodyTimeout: 0,
      connect: options.connector,
    });
    this.#cutter = new SseFrameCutter(
      {
        message: (data) => this.#guarded(() => this.#options.onMessage(asBuffer(data))),
        rest: (frame) => {
          if (isEndpoint(frame)) this.#rest.push(frame);
          else this.#guarded(() => this.#options.onUnknown());
        },
        comment: () => {},
      },
      { maxMessageBytes: options.maxMessageBytes },
    );
    this.#source = new EventSource(options.url, {
      maxBufferSize: MAX_OTHER_CHARS,
      // The type wants a whole web response; FetchedStream is what the library reads of it.
      fetch: (() => this.#fetch()) as unknown as FetchLike,
    });
    this.#source.addEventListener('open', () => this.#guarded(() => this.#options.onOpen()));
    this.#source.addEventListener('endpoint', (event) =>
      this.#guarded(() => {
        this.#options.watch?.endpoint(String(event.data));
        this.#options.onEndpoint(String(event.data));
      }),
    );
    this.#source.addEventListener('error', () => this.#end(lost('the upstream’s event stream could not be read')));
  }

  /** Stops reading, which stops the sender once its socket is full. Pauses nest. */
  pause(): void {
    this.#paused++;
    this.#controller?.pause();
  }

  resume(): void {
    if (this.#paused > 0 && --this.#paused === 0) this.#controller?.resume();
  }

  /** Idempotent; onEnd is not called for it. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#shut();
  }

  #fetch(): Promise<FetchedStream> {
    // Belt and braces: the error listener closes the source before it could reconnect.
    if (++this.#connects > 1) return Promise.reject(new Error('one connect per object'));
    const { url, headers } = this.#options;
    return new Promise((resolve, reject) => {
      this.#client.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: 'GET',
          headers: {
            ...headers,
            accept: 'text/event-stream',
            'cache-control': 'no-cache',
            'accept-encoding': 'identity',
          },
        },
        {
          onRequestStart: (controller) => {
            this.#controller = controller;
          },
          onResponseStart: (_controller, status, responseHeaders) => {
            // Informational: the response is still to come.
            if (status < 200) return;
            this.#options.watch?.head(status, responseHeaders);
            const type = String(responseHeaders['content-type'] ?? '');
            const refusal =
              this.#options.refusalOf(status, responseHeaders) ??
              streamRefusal(status, type, responseHeaders['content-encoding']);
            if (refusal !== null) {
              this.#end(refusal);
              return;
            }
            resolve(fetched(url, status, type, this.#rest));
          },
          onResponseData: (_controller, chunk) => this.#guarded(() => this.#read(chunk)),
          onResponseEnd: () => this.#end(lost('the upstream ended its event stream')),
          onResponseError: (_controller, error) => {
            this.#end(
              this.#isStreaming()
                ? lost('the connection of the upstream’s event stream broke', error)
                : connectError(error),
            );
            reject(error);
          },
        },
      );
    });
  }

  #isStreaming(): boolean {
    return this.#source.readyState === EventSource.OPEN;
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    this.#options.onAlive();
    this.#options.watch?.bytes(chunk);
    if (!this.#cutter.push(chunk)) {
      const limit = this.#options.maxMessageBytes;
      this.#end(
        overLimit(
          'upstream_message_too_large',
          'limits.upstreamMessageBytes',
          `the upstream sent a message over ${limit} bytes`,
        ),
      );
    }
    if (this.#paused > 0) this.#controller?.pause();
  }

  /** Whatever a listener throws costs this link, never the process. */
  #guarded(act: () => void): void {
    if (this.#over) return;
    try {
      act();
    } catch (thrown) {
      this.#end(
        thrown instanceof ProxyError
          ? thrown
          : new ProxyError('internal_error', 'reading the upstream’s stream failed', { cause: thrown }),
      );
    }
  }

  #end(error: ProxyError): void {
    if (this.#over) return;
    this.#over = true;
    this.#shut();
    this.#options.onEnd(error);
  }

  #shut(): void {
    this.#source.close();
    this.#rest.end();
    this.#controller?.abort(CLOSED);
    this.#client.destroy(CLOSED).catch(() => {
      // Destroying twice rejects; the socket is gone either way.
    });
  }
}

/** Made once: it tells nobody anything, and undici would make another. */
const CLOSED = new Error('closed');

function fetched(url: URL, status: number, contentType: string, rest: FrameQueue): FetchedStream {
  return {
    status,
    url: url.href,
    redirected: false,
    headers: { get: (name) => (name.toLowerCase() === 'content-type' ? contentType : null) },
    body: { getReader: () => rest },
  };
}

function lost(text: string, cause?: unknown): ProxyError {
  return new ProxyError('upstream_session_lost', text, { cause });
}

/** Why this response is not an event stream that could be read; null if it is one. */
export function streamRefusal(status: number, type: string, encoding: unknown): ProxyError | null {
  const refuse = (code: ErrorCode, text: string): ProxyError =>
    new ProxyError(code, text, { outcome: 'not_executed', upstreamStatus: status });
  if (status >= 300 && status < 400) return refuse('upstream_redirect', 'the upstream redirects');
  if (status === 401 || status === 403) return refuse('upstream_unauthorized', 'the upstream refuses the gateway');
  if (status === 404 || status === 410) return refuse('upstream_not_found', 'the upstream has nothing at this path');
  if (status === 400 || status === 405 || status === 406) {
    return refuse('upstream_not_legacy', 'the upstream does not take a GET here');
  }
  if (status !== 200) return refuse('upstream_bad_status', 'the upstream answered with an error status');
  if (!EVENT_STREAM.test(type)) {
    return refuse(
      'upstream_not_event_stream',
      `the upstream answered with ${/^[\w/+.-]+/.exec(type)?.[0] ?? 'no content type'}`,
    );
  }
  if (encoding !== undefined && encoding !== 'identity') {
    return refuse('upstream_not_event_stream', 'the upstream compresses its event stream although asked not to');
  }
  return null;
}

/** Frames on their way to `eventsource`, as the reader it pulls from. */
class FrameQueue {
  readonly #frames: Uint8Array[] = [];
  #waiting: ((result: { done: false; value: Uint8Array } | { done: true }) => void) | null = null;
  #ended = false;

  push(frame: Uint8Array): void {
    if (this.#waiting === null) {
      this.#frames.push(frame);
      return;
    }
    const give = this.#waiting;
    this.#waiting = null;
    give({ done: false, value: frame });
  }

  end(): void {
    this.#ended = true;
    this.#waiting?.({ done: true });
    this.#waiting = null;
  }

  read(): Promise<{ done: false; value: Uint8Array } | { done: true }> {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve({ done: false, value: frame });
    if (this.#ended) return Promise.resolve({ done: true });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }
}

const ENDPOINT_HEAD = Buffer.from('event: endpoint\n');

/** The cutter writes the type first. */
function isEndpoint(frame: Uint8Array): boolean {
  return ENDPOINT_HEAD.equals(frame.subarray(0, ENDPOINT_HEAD.length));
}

/** The same bytes; a Buffer's indexOf is memchr, a plain array's is thirty times slower. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
