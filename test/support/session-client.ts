// What stories about sessions have in common: a session alone with its link, and what its client does and hears.

import { type EventClient, type SseEvent, openEvents } from './event-client.ts';
import { type Gateway, type GatewayClient, type GatewayConfig, gatewayBefore } from './gateway.ts';
import type { Behaviour, LegacyStream } from './legacy-behaviour.ts';
import type { LegacyServer } from './legacy-server.ts';
import type { VirtualTime } from './virtual-time.ts';

/** The header that names a session. */
export const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });

/** A client that can be asked everything. */
export const ASKABLE = {
  protocolVersion: '2025-11-25',
  capabilities: { roots: {}, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } },
};

export interface World {
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
  readonly session: string;
  /** The session's own link, as the upstream sees it. */
  readonly link: LegacyStream;
}

/** A gateway with one session and no other link. */
export async function sessionOf(
  revision: string,
  config: GatewayConfig = {},
  { behaviour, time }: { behaviour?: Partial<Behaviour>; time?: VirtualTime } = {},
): Promise<World> {
  const { gateway, upstream } = await gatewayBefore(behaviour, { ...config, links: { min: 0, ...config.links } }, time);
  const session = await gateway.openSession({ protocolVersion: revision });
  const link = await upstream.nextStream();
  return { gateway, upstream, session, link };
}

/** A tools/call whose reply becomes a stream, once it has begun. */
export function callIn(
  gateway: GatewayClient,
  sessionId: string,
  name: string,
  args: object = {},
  id = 1,
): Promise<EventClient> {
  const body = { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
  return openEvents(gateway, { sessionId, body });
}

/** A GET that stays open. */
export function listen(gateway: GatewayClient, sessionId: string): Promise<EventClient> {
  return openEvents(gateway, { sessionId });
}

/** The next message that is no answer. */
export async function told(stream: EventClient): Promise<SseEvent> {
  const events = await stream.until(({ json }) => json?.method !== undefined);
  return events.at(-1) ?? { data: '' };
}

/** The last message of a stream, once it has ended. */
export async function finalOn(stream: EventClient): Promise<SseEvent['json']> {
  return (await stream.rest()).at(-1)?.json;
}
