// A Streamable HTTP endpoint that answers openings in one given way and writes down what it was asked: what a client sees
// when the gateway in front of its server reports a failure with that status.
import { createServer, type IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { listenOnLoopback } from './loopback.ts';

export interface Failure {
  readonly status: number;
  /** As plain text, or as the message of a JSON-RPC error. */
  readonly body: 'text' | 'JSON-RPC error';
  readonly says?: string;
}

export interface FailingEndpoint {
  readonly url: string;
  /** In order: `POST <JSON-RPC method>`, or `GET <accept>`. Requests for other paths (OAuth documents) are not openings. */
  readonly seen: readonly string[];
}

const openingMessage = z.object({ id: z.union([z.number(), z.string()]).optional(), method: z.string() });

type OpeningMessage = z.infer<typeof openingMessage>;

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly text?: string;
}

/** Answers `times` POSTs with the failure, and from then on serves a minimal conversation of either era. */
export async function startFailingEndpoint(failure: Failure, times = Infinity): Promise<FailingEndpoint> {
  const seen: string[] = [];
  let failed = 0;

  const answer = async (incoming: IncomingMessage): Promise<Answer> => {
    const text = await bodyOf(incoming);
    if (incoming.url !== '/mcp') return { status: 404 };
    if (incoming.method !== 'POST') {
      seen.push(`${incoming.method} ${incoming.headers.accept}`);
      return { status: 405 };
    }
    // Every peer here sends one JSON-RPC object; anything else would be a finding, and throws.
    const message = openingMessage.parse(JSON.parse(text));
    seen.push(`POST ${message.method}`);
    if (failed === times) return healthy(message);
    failed += 1;
    return broken(failure, message);
  };

  const endpoint = createServer((incoming, outgoing) => {
    answer(incoming)
      .then(({ status, type, text }) => {
        outgoing.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(text);
      })
      .catch((error: unknown) => {
        seen.push(`unreadable: ${String(error)}`);
        outgoing.destroy();
      });
  });
  const port = await listenOnLoopback(endpoint);
  onTestFinished(() => {
    endpoint.close();
    endpoint.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${port}/mcp`, seen };
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  incoming.setEncoding('utf8');
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}

function broken({ status, body, says = 'upstream trouble' }: Failure, { id }: OpeningMessage): Answer {
  if (body === 'text') return { status, type: 'text/plain', text: says };
  return json(status, { jsonrpc: '2.0', id, error: { code: -32603, message: says } });
}

function healthy({ id, method }: OpeningMessage): Answer {
  if (id === undefined) return { status: 202 };
  const modern = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const results: Readonly<Record<string, object>> = {
    'server/discover': { ...modern, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
    initialize: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'stub', version: '0' },
    },
    'tools/list': { ...modern, tools: [] },
  };
  const result = results[method];
  const outcome = result === undefined ? { error: { code: -32601, message: 'unknown method' } } : { result };
  return json(200, { jsonrpc: '2.0', id, ...outcome });
}

function json(status: number, message: object): Answer {
  return { status, type: 'application/json', text: JSON.stringify(message) };
}
