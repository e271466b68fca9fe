// A legacy server that takes calls for ever: it answers their POST neither by a status nor on the stream, which it breaks.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { listenOnLoopback } from './loopback.ts';

const message = z.object({ id: z.number().optional(), method: z.string() });

/** Returns its port. */
export async function startHangingUpstream(): Promise<number> {
  const streams = new Map<string, ServerResponse>();

  const take = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const stream = streams.get(incoming.url ?? '');
    if (incoming.method === 'GET' || stream === undefined) {
      const path = `/messages/${streams.size + 1}`;
      streams.set(path, outgoing);
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' }).write(`event: endpoint\ndata: ${path}\n\n`);
      return;
    }
    const { id, method } = message.parse(JSON.parse(Buffer.concat(await incoming.toArray()).toString()));
    if (method === 'tools/call') {
      stream.destroy();
      return;
    }
    outgoing.writeHead(202).end();
    if (method === 'initialize')
      stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: initialized })}\n\n`);
  };

  const server = createServer((incoming, outgoing) => {
    take(incoming, outgoing).catch(() => outgoing.destroy());
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return listenOnLoopback(server);
}

const initialized = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'hanging', version: '0' },
};
