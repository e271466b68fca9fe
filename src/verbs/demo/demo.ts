// `mcp-causeway demo`: a built-in legacy server, the gateway before it, and one tool call through both.

import { Agent, type Response, fetch } from 'undici';
import type { Flags } from '../../config/assignments.ts';
import { ConfigError, readConfig } from '../../config/load.ts';
import type { UpstreamConfig } from '../../config/schema.ts';
import type { Surroundings } from '../../config/substitution.ts';
import { type Running, start } from '../serve.ts';
import { INITIALIZE, curlLine } from '../snippets.ts';
import { startLegacyServer } from './legacy-server.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';

/** The certificate of `listen.tls` is for the name that clients know. */
const OURSELVES = new Agent({ connect: { rejectUnauthorized: false } });

export interface Demo {
  readonly endpoint: string;
  readonly mode: UpstreamConfig['mode'];
  close(): Promise<void>;
}

/** Starts both, makes the call, prints it. */
export async function runDemo(flags: Flags, surroundings: Surroundings, print: (text: string) => void): Promise<Demo> {
  const legacy = await startLegacyServer({ host: '127.0.0.1', port: 0 });
  const running = await startBefore(legacy.url.href, flags, surroundings).catch(async (error: unknown) => {
    await legacy.close();
    throw error;
  });
  const close = async (): Promise<void> => {
    await running.close();
    await legacy.close();
  };
  try {
    print(`A legacy server speaks HTTP+SSE at        ${legacy.url.href}\n`);
    print(`The gateway serves Streamable HTTP at      ${running.endpoint}\n\n`);
    print(`POST ${running.endpoint}\n  ${CALL}\n`);
    const response = await post(running.endpoint, CALL, await sessionHeader(running));
    print(`HTTP ${response.status}\n  ${await response.text()}\n\n`);
    if (!response.ok) throw new Error(`the call through the gateway came back with HTTP ${response.status}`);
    return { endpoint: running.endpoint, mode: running.mode, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function post(endpoint: string, body: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body,
    dispatcher: OURSELVES,
    signal: AbortSignal.timeout(20_000),
  });
}

/** Where nothing is served without a session, the call needs one. */
async function sessionHeader({ endpoint, mode }: Running): Promise<Record<string, string>> {
  if (mode !== 'session') return {};
  const response = await post(endpoint, INITIALIZE, {});
  await response.body?.cancel();
  return { 'mcp-session-id': response.headers.get('mcp-session-id') ?? '' };
}

/** Where the usual port is taken and none was asked for, any free one does. */
async function startBefore(upstream: string, given: Flags, surroundings: Surroundings): Promise<Running> {
  const isAsked = given['listen'] !== undefined || Boolean(surroundings.env['CAUSEWAY_LISTEN']);
  const flags = { 'log-level': 'warn', ...given, upstream };
  try {
    return await start(readConfig({ flags }, surroundings));
  } catch (error) {
    if (isAsked || !(error instanceof ConfigError)) throw error;
    return start(readConfig({ flags: { ...flags, listen: '127.0.0.1:0' } }, surroundings));
  }
}

export function invitation({ endpoint, mode }: Demo): string {
  const line = curlLine(endpoint, mode === 'session' ? INITIALIZE : CALL);
  return `Your turn, in another terminal:\n\n  ${line}\n\nCtrl-C ends it.\n`;
}
