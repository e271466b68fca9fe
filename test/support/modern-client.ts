// A client of 2026-07-28 that sees and sends bytes: every request carries all it needs, in its body and in its headers.

import type { Answer, GatewayClient, OpenReply, RawClient } from './gateway.ts';
import { JSON_HEADERS, requestBytes } from './gateway.ts';

export const MODERN = '2026-07-28';
const PREFIX = 'io.modelcontextprotocol/';

export interface ModernOptions {
  readonly id?: unknown;
  readonly capabilities?: object;
  readonly logLevel?: string;
  readonly progressToken?: unknown;
  /** More members of `_meta`. */
  readonly meta?: object;
  /** Instead of, or beside, the usual ones; undefined takes one away. */
  readonly headers?: Record<string, string | undefined>;
}

export interface ModernMessage {
  readonly body: string;
  readonly headers: Record<string, string>;
}

/** The request as it goes over the wire. */
export function modernMessage(method: string, params: object = {}, options: ModernOptions = {}): ModernMessage {
  const { id = 1, capabilities = {}, logLevel, progressToken, meta = {} } = options;
  const given = params as { readonly name?: unknown; readonly uri?: unknown };
  const name = given.name ?? given.uri;
  const headers: Record<string, string | undefined> = {
    ...JSON_HEADERS,
    'mcp-protocol-version': MODERN,
    'mcp-method': method,
    ...(typeof name === 'string' && { 'mcp-name': name }),
    ...options.headers,
  };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method,
    params: {
      ...params,
      _meta: {
        [`${PREFIX}protocolVersion`]: MODERN,
        [`${PREFIX}clientCapabilities`]: capabilities,
        [`${PREFIX}clientInfo`]: { name: 'modern-client', version: '1' },
        ...(logLevel !== undefined && { [`${PREFIX}logLevel`]: logLevel }),
        ...(progressToken !== undefined && { progressToken }),
        ...meta,
      },
    },
  });
  const sent = Object.entries(headers).filter((header): header is [string, string] => header[1] !== undefined);
  return { body, headers: Object.fromEntries(sent) };
}

export async function modern(
  gateway: GatewayClient,
  method: string,
  params?: object,
  options?: ModernOptions,
): Promise<Answer> {
  const { body, headers } = modernMessage(method, params, options);
  return gateway.send('POST', new URL(gateway.endpoint).pathname, headers, body);
}

/** A tools/call. */
export async function callTool(
  gateway: GatewayClient,
  name: string,
  args: object = {},
  options?: ModernOptions,
): Promise<Answer> {
  return modern(gateway, 'tools/call', { name, arguments: args }, options);
}

/** The reply is read as it comes. */
export async function openModern(
  gateway: GatewayClient,
  method: string,
  params?: object,
  options?: ModernOptions,
): Promise<OpenReply> {
  const { body, headers } = modernMessage(method, params, options);
  return gateway.open(body, headers);
}

/** What a client may declare that can be asked everything. */
export const EVERYTHING = { roots: {}, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } };

/** What a result asks for, by its keys; nothing where it does not ask. */
export function askedIn({ json }: Answer): Readonly<Record<string, { readonly method: string }>> {
  return json?.result?.resultType === 'input_required' ? json.result.inputRequests : {};
}

/** The same request once more, with the state of the result that asked, and the answers. */
export async function retry(
  gateway: GatewayClient,
  asked: Answer,
  inputResponses: object | undefined,
  [method, params, options]: readonly [method: string, params: object, options?: ModernOptions],
): Promise<Answer> {
  const { requestState } = asked.json.result;
  return modern(gateway, method, { ...params, requestState, inputResponses }, { id: 'again', ...options });
}

/** The client sends the request and closes its socket when it likes. */
export async function leavingModern(
  gateway: GatewayClient,
  method: string,
  params?: object,
  options?: ModernOptions,
): Promise<RawClient> {
  const { body, headers } = modernMessage(method, params, options);
  const client = await gateway.connect();
  const sent = { ...headers, host: 'localhost', 'content-length': String(Buffer.byteLength(body)) };
  client.write(requestBytes('POST', new URL(gateway.endpoint).pathname, Object.entries(sent), body));
  return client;
}
