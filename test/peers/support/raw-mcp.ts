// MCP by hand: the bytes that a script or a curl user would send, without any SDK in between.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export const revision = '2025-11-25';

export interface Reply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}

const initializeParams = { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'raw', version: '0' } };

export function request(id: number | string, method: string, params: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

export const initialize = request(0, 'initialize', initializeParams);

export const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

export function echo(id: number | string, message: string): string {
  return request(id, 'tools/call', { name: 'echo', arguments: { message } });
}

/** What a correct answer to `echo(id, message)` contains, for `toMatchObject`. */
export function echoed(id: number | string, message: string): object {
  return { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: `Echo: ${message}` }] } };
}

export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  withinMs = 30_000,
): Promise<Reply> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body,
    signal: AbortSignal.timeout(withinMs),
  });
  return { status: response.status, headers: new Map(response.headers), text: await response.text() };
}

const run = promisify(execFile);

/** The same by the real curl, with the few flags a user would type. */
export async function curl(url: string, body: string, headers: readonly string[] = []): Promise<Reply> {
  const headerFlags = ['content-type: application/json', ...headers].flatMap((header) => ['-H', header]);
  const { stdout } = await run('curl', [
    '-sS',
    '-i',
    '--noproxy',
    '*',
    '--max-time',
    '30',
    ...headerFlags,
    '-d',
    body,
    url,
  ]);
  const headEnd = stdout.indexOf('\r\n\r\n');
  const [statusLine = '', ...fields] = stdout.slice(0, headEnd).split('\r\n');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: new Map(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      }),
    ),
    text: stdout.slice(headEnd + 4),
  };
}

/** The one message with an answer in a reply, whether it came as JSON or as an event stream. */
export function answer({ headers, text }: Reply): unknown {
  if (headers.get('content-type')?.startsWith('text/event-stream') !== true) return JSON.parse(text);
  const messages = text
    .split('\n')
    .filter((line) => line.startsWith('data:') && line.length > 6)
    .map((line): unknown => JSON.parse(line.slice(5)));
  return messages.find(
    (message) => typeof message === 'object' && message !== null && ('result' in message || 'error' in message),
  );
}

export interface RawSession {
  call(body: string): Promise<unknown>;
  delete(): Promise<number>;
}

export async function openSession(url: string, withinMs = 30_000): Promise<RawSession> {
  const opened = await post(url, initialize, {}, withinMs);
  const id = opened.headers.get('mcp-session-id');
  if (id === undefined) throw new Error(`initialize got no session id: ${opened.status} ${opened.text}`);
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': revision };
  await post(url, initialized, headers, withinMs);
  return {
    async call(body) {
      return answer(await post(url, body, headers, withinMs));
    },
    async delete() {
      const response = await fetch(url, { method: 'DELETE', headers, signal: AbortSignal.timeout(withinMs) });
      await response.arrayBuffer();
      return response.status;
    },
  };
}
