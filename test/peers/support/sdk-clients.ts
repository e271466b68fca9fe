// The two generations of the official TypeScript SDK. Loaded at run time, because types must check where they are not
// installed; `classLike` is the only place that trusts our idea of their shape, and the tests notice when it is wrong.
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { classLike, importPeer } from './packages.ts';

export interface SdkTransport {
  readonly sessionId: string | undefined;
  terminateSession(): Promise<void>;
}

interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

interface CallOptions {
  readonly onprogress?: (progress: unknown) => void;
}

export interface SdkClient {
  connect(transport: SdkTransport): Promise<void>;
  listTools(): Promise<{ readonly tools: readonly { readonly name: string }[] }>;
  callTool(call: ToolCall, resultSchema?: undefined, options?: CallOptions): Promise<unknown>;
  close(): Promise<void>;
}

export interface SdkClientV2 extends SdkClient {
  getProtocolEra(): 'modern' | 'legacy' | undefined;
  getNegotiatedProtocolVersion(): string | undefined;
}

export type Negotiation = 'auto' | 'legacy' | { readonly pin: string };

interface Connectable<C> {
  readonly client: C;
  readonly transport: SdkTransport;
}

type ClientClass<C> = new (info: { name: string; version: string }, options: object) => C;
type TransportClass = new (url: URL) => SdkTransport;

const info = { name: 'causeway-peers', version: '0' };

/** The same client on the old transport. */
export async function sdkV1Sse(url: string): Promise<Connectable<SdkClient>> {
  const peer = '@modelcontextprotocol/sdk';
  const { Client } = z
    .object({ Client: classLike<ClientClass<SdkClient>>() })
    .parse(await importPeer(peer, 'dist/esm/client/index.js'));
  const { SSEClientTransport } = z
    .object({ SSEClientTransport: classLike<TransportClass>() })
    .parse(await importPeer(peer, 'dist/esm/client/sse.js'));
  return closedAfterTest(new Client(info, {}), new SSEClientTransport(new URL(url)));
}

export async function sdkV1(url: string): Promise<Connectable<SdkClient>> {
  const peer = '@modelcontextprotocol/sdk';
  const { Client } = z
    .object({ Client: classLike<ClientClass<SdkClient>>() })
    .parse(await importPeer(peer, 'dist/esm/client/index.js'));
  const { StreamableHTTPClientTransport } = z
    .object({ StreamableHTTPClientTransport: classLike<TransportClass>() })
    .parse(await importPeer(peer, 'dist/esm/client/streamableHttp.js'));
  return closedAfterTest(new Client(info, {}), new StreamableHTTPClientTransport(new URL(url)));
}

export async function sdkV2(url: string, mode: Negotiation): Promise<Connectable<SdkClientV2>> {
  const { Client, StreamableHTTPClientTransport } = z
    .object({
      Client: classLike<ClientClass<SdkClientV2>>(),
      StreamableHTTPClientTransport: classLike<TransportClass>(),
    })
    .parse(await importPeer('@modelcontextprotocol/client', 'dist/index.mjs'));
  const client = new Client(info, { versionNegotiation: { mode } });
  return closedAfterTest(client, new StreamableHTTPClientTransport(new URL(url)));
}

function closedAfterTest<C extends SdkClient>(client: C, transport: SdkTransport): Connectable<C> {
  onTestFinished(() => client.close());
  return { client, transport };
}
