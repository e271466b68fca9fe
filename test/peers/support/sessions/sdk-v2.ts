// SDK v2, @modelcontextprotocol/client. It speaks the modern era as well and looks for it first in mode `auto`.
import { z } from 'zod';
import { classLike, importPeer } from '../packages.ts';
import type { Negotiation } from '../sdk-clients.ts';
import type { CallOptions, ClientOptions, Generation, Notification, SdkClient, SdkTransport } from './client.ts';

interface Context {
  readonly mcpReq: {
    readonly signal: AbortSignal;
    readonly _meta?: { readonly progressToken?: string | number };
    notify(notification: object): Promise<void>;
  };
}

interface Client extends SdkClient {
  setRequestHandler(
    method: string,
    answer: (request: { readonly params?: Record<string, unknown> }, context: Context) => unknown,
  ): void;
  setNotificationHandler(method: string, hear: (notification: Notification) => void): void;
  callTool(call: object, options: CallOptions): Promise<unknown>;
}

const info = { name: 'causeway-peers', version: '0' };

export async function transportV2(): Promise<new (url: URL, options: object) => SdkTransport> {
  const { StreamableHTTPClientTransport } = z
    .object({ StreamableHTTPClientTransport: classLike<new (url: URL, options: object) => SdkTransport>() })
    .parse(await importPeer('@modelcontextprotocol/client', 'dist/index.mjs'));
  return StreamableHTTPClientTransport;
}

export async function v2(
  mode: Negotiation,
  { capabilities, listChanged, revision }: ClientOptions,
): Promise<Generation> {
  const { Client } = z
    .object({ Client: classLike<new (own: object, options: object) => Client>() })
    .parse(await importPeer('@modelcontextprotocol/client', 'dist/index.mjs'));
  const client = new Client(info, {
    capabilities,
    listChanged,
    versionNegotiation: { mode },
    ...(revision !== undefined && { supportedProtocolVersions: [revision] }),
  });
  return {
    client,
    onRequest: (method, answer) =>
      client.setRequestHandler(method, ({ params = {} }, { mcpReq }) =>
        answer(params, {
          signal: mcpReq.signal,
          progressToken: mcpReq._meta?.progressToken,
          notify: (notification, about) => mcpReq.notify({ method: notification, params: about }),
        }),
      ),
    onNotification: (method, hear) => client.setNotificationHandler(method, hear),
    callTool: (call, options) => client.callTool(call, options),
  };
}
