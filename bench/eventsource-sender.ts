// The sending side of the eventsource bench, a child process: one event stream of equal messages.
// One HTTP chunk per message, as legacy servers write them; a batch leaves the process in one write, and the next batch
// waits for one byte on the acknowledgement socket. That fixes how many messages a read brings, which is what the cost
// per message depends on, and keeps a fast sender from hiding the receiver's cost behind full socket buffers.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { endWithParent, listen } from './child.ts';

let acknowledgements: Socket | undefined;

const streams = createHttpServer((request, response) => {
  const ask = new URL(request.url ?? '/', 'http://127.0.0.1').searchParams;
  const batch = Number(ask.get('batch'));
  const frame = frameOf(Number(ask.get('size')), ask.get('text') === 'mixed');
  let left = Number(ask.get('count'));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.on('error', () => response.destroy());

  const sendBatch = (): void => {
    if (left <= 0) {
      response.end();
      return;
    }
    response.cork();
    for (let sent = 0; sent < batch && left > 0; sent += 1, left -= 1) response.write(frame);
    response.uncork();
  };
  acknowledgements?.on('data', (bytes) => {
    for (let seen = 0; seen < bytes.length; seen += 1) sendBatch();
  });
  sendBatch();
});

const acks = createTcpServer({ noDelay: true }, (socket) => {
  acknowledgements = socket;
  socket.on('error', () => socket.destroy());
});

/** A tool result of exactly `size` bytes as an SSE frame; `mixed` text holds two- and three-byte characters. */
function frameOf(size: number, mixed: boolean): Buffer {
  const head = '{"jsonrpc":"2.0","id":1234567,"result":{"content":[{"type":"text","text":"';
  const tail = '"}]}}';
  const room = size - head.length - tail.length;
  const word = mixed
    ? 'der Brückenübergang kostet 5 € – mehr nicht. '
    : 'the bridge costs five coins and nothing more. ';
  const wordBytes = Buffer.byteLength(word);
  const words = Math.floor(room / wordBytes);
  const text = word.repeat(words) + 'x'.repeat(room - words * wordBytes);
  return Buffer.from(`event: message\ndata: ${head}${text}${tail}\n\n`);
}

endWithParent();
process.send?.({ streamPort: await listen(streams), ackPort: await listen(acks) });
