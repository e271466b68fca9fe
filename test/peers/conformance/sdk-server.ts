// The server half of SDK v1, as far as the conformance server uses it. Loaded at run time, because types must check where it
// is not installed; a shape that is wrong shows in the run.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { classLike, importPeer } from '../support/packages.ts';
import type { AskOptions } from './tools.ts';

export interface SseTransport {
  readonly sessionId: string;
  handlePostMessage(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>;
}

export interface StreamableTransport {
  readonly sessionId: string | undefined;
  handleRequest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>;
}

export interface EventStore {
  storeEvent(streamId: string, message: unknown): Promise<string>;
  getStreamIdForEventId(eventId: string): Promise<string | undefined>;
  replayEventsAfter(
    lastEventId: string,
    replay: { readonly send: (eventId: string, message: unknown) => Promise<void> },
  ): Promise<string>;
}

export interface StreamableOptions {
  readonly sessionIdGenerator: () => string;
  readonly onsessioninitialized: (sessionId: string) => void;
  readonly onsessionclosed: (sessionId: string) => void;
  readonly eventStore: EventStore;
  readonly retryInterval: number;
}

/** What a handler gets beside the request. */
export interface RequestExtra {
  readonly signal: AbortSignal;
  /** Both go where the answer will go: on a stream of the request's own if the transport has one. */
  sendNotification(notification: { readonly method: string; readonly params: object }): Promise<void>;
  sendRequest(
    request: { readonly method: string; readonly params: object },
    result: z.ZodType,
    options?: AskOptions,
  ): Promise<unknown>;
  /** Only over Streamable HTTP, and there only for a client that can come back for the rest. */
  readonly closeSSEStream?: () => void;
}

export interface SdkServer {
  /** Serves every method that has no handler of its own. */
  fallbackRequestHandler?: (
    request: { readonly method: string; readonly params?: unknown },
    extra: RequestExtra,
  ) => Promise<object>;
  removeRequestHandler(method: string): void;
  /** At any time, whatever runs. Rejects where the client has not declared what the notification is about. */
  notification(notification: { readonly method: string; readonly params: object }): Promise<void>;
  onclose?: () => void;
  getClientCapabilities(): Readonly<Record<string, unknown>> | undefined;
  connect(transport: SseTransport | StreamableTransport): Promise<void>;
}

export interface SdkServerClasses {
  readonly Server: new (
    info: { readonly name: string; readonly version: string },
    options: { readonly capabilities: object },
  ) => SdkServer;
  readonly SSEServerTransport: new (endpoint: string, outgoing: ServerResponse) => SseTransport;
  readonly StreamableHTTPServerTransport: new (options: StreamableOptions) => StreamableTransport;
}

export async function sdkServerClasses(): Promise<SdkServerClasses> {
  const peer = '@modelcontextprotocol/sdk';
  const { Server } = z
    .object({ Server: classLike<SdkServerClasses['Server']>() })
    .parse(await importPeer(peer, 'dist/esm/server/index.js'));
  const { SSEServerTransport } = z
    .object({ SSEServerTransport: classLike<SdkServerClasses['SSEServerTransport']>() })
    .parse(await importPeer(peer, 'dist/esm/server/sse.js'));
  const { StreamableHTTPServerTransport } = z
    .object({ StreamableHTTPServerTransport: classLike<SdkServerClasses['StreamableHTTPServerTransport']>() })
    .parse(await importPeer(peer, 'dist/esm/server/streamableHttp.js'));
  return { Server, SSEServerTransport, StreamableHTTPServerTransport };
}
