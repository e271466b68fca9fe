// The client half of SDK v1, @modelcontextprotocol/sdk. Its handlers are set by schemas of its own.
import { z } from 'zod';
import { classLike, importPeer } from '../packages.ts';
import type { CallOptions, ClientOptions, Generation, Notification, SdkClient, SdkTransport } from './client.ts';

interface Extra {
  readonly signal: AbortSignal;
  readonly _meta?: { readonly progressToken?: string | number };
  sendNotification(notification: object): Promise<void>;
}

interface Client extends SdkClient {
  setRequestHandler(
    schema: unknown,
    answer: (request: { readonly params?: Record<string, unknown> }, extra: Extra) => unknown,
  ): void;
  setNotificationHandler(schema: unknown, hear: (notification: Notification) => void): void;
  callTool(call: object, resultSchema: undefined, options: CallOptions): Promise<unknown>;
}

const peer = '@modelcontextprotocol/sdk';
const info = { name: 'causeway-peers', version: '0' };

/** By their names in the SDK's module of types. */
const schemaNames: Readonly<Record<string, string>> = {
  'sampling/createMessage': 'CreateMessageRequestSchema',
  'elicitation/create': 'ElicitRequestSchema',
  'roots/list': 'ListRootsRequestSchema',
  'notifications/message': 'LoggingMessageNotificationSchema',
  'notifications/resources/updated': 'ResourceUpdatedNotificationSchema',
  'notifications/elicitation/complete': 'ElicitationCompleteNotificationSchema',
  'notifications/tools/list_changed': 'ToolListChangedNotificationSchema',
  'notifications/prompts/list_changed': 'PromptListChangedNotificationSchema',
  'notifications/resources/list_changed': 'ResourceListChangedNotificationSchema',
};

export async function transportV1(): Promise<new (url: URL, options: object) => SdkTransport> {
  const { StreamableHTTPClientTransport } = z
    .object({ StreamableHTTPClientTransport: classLike<new (url: URL, options: object) => SdkTransport>() })
    .parse(await importPeer(peer, 'dist/esm/client/streamableHttp.js'));
  return StreamableHTTPClientTransport;
}

export async function sseTransportV1(): Promise<new (url: URL) => SdkTransport> {
  const { SSEClientTransport } = z
    .object({ SSEClientTransport: classLike<new (url: URL) => SdkTransport>() })
    .parse(await importPeer(peer, 'dist/esm/client/sse.js'));
  return SSEClientTransport;
}

export async function v1({ capabilities, listChanged }: ClientOptions): Promise<Generation> {
  const { Client } = z
    .object({ Client: classLike<new (own: object, options: object) => Client>() })
    .parse(await importPeer(peer, 'dist/esm/client/index.js'));
  const schemas = new Map(Object.entries(Object(await importPeer(peer, 'dist/esm/types.js'))));
  const schemaOf = (method: string): unknown => schemas.get(schemaNames[method] ?? method);
  const client = new Client(info, { capabilities, listChanged });
  return {
    client,
    onRequest: (method, answer) =>
      client.setRequestHandler(schemaOf(method), ({ params = {} }, extra) =>
        answer(params, {
          signal: extra.signal,
          progressToken: extra._meta?.progressToken,
          notify: (notification, about) => extra.sendNotification({ method: notification, params: about }),
        }),
      ),
    onNotification: (method, hear) => client.setNotificationHandler(schemaOf(method), hear),
    callTool: (call, options) => client.callTool(call, undefined, options),
  };
}
