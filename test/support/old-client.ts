// A client of the old transport that sees and sends bytes: one GET for the events, POSTs to where the endpoint event
// says. Every wait is bounded, and an error says what had come until then.

import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface OldAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface OldClient {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Everything that has come. */
  readonly bytes: Buffer;
  /** Resolves when this part has come, or rejects when it cannot any more. */
  until(part: string): Promise<void>;
  untilBytes(count: number): Promise<void>;
  /** What the n-th endpoint event announces. */
  endpoint(number?: number): Promise<string>;
  post(body: unknown, headers?: OutgoingHttpHeaders): Promise<OldAnswer>;
  pause(): void;
  resume(): void;
  leave(): void;
  readonly closed: Promise<'ended' | 'broken'>;
}

const WAIT_MS = 10_000;
const JSON_TYPE = { 'content-type': 'application/json' };

/** One request on a socket of its own, and the whole answer. */
export async function exchange(
  url: string,
  method: string,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<OldAnswer> {
  const sent = request(url, { method, headers, agent: false });
  onTestFinished(() => void sent.destroy());
  sent.end(body);
  const [response] = (await once(sent, 'response', { signal: AbortSignal.timeout(WAIT_MS) })) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

/** Resolves with the headers of the reply. The client leaves when the test is over. */
export async function openOldClient(
  origin: string,
  { path = '/sse', headers = {} }: { readonly path?: string; readonly headers?: OutgoingHttpHeaders } = {},
): Promise<OldClient> {
  const sent = request(origin + path, { headers: { accept: 'text/event-stream', ...headers }, agent: false });
  onTestFinished(() => void sent.destroy());
  sent.on('error', () => {});
  sent.end();
  const [response] = (await once(sent, 'response', { signal: AbortSignal.timeout(WAIT_MS) })) as [IncomingMessage];
  sent.on('error', () => {});
  const pieces: Buffer[] = [];
  let count = 0;
  let end: 'ended' | 'broken' | null = null;
  let news = Promise.withResolvers<void>();
  const tell = (): void => {
    news.resolve();
    news = Promise.withResolvers();
  };
  response.on('data', (piece: Buffer) => {
    pieces.push(piece);
    count += piece.length;
    tell();
  });
  response.on('error', () => {});
  response.on('close', () => {
    end = response.complete ? 'ended' : 'broken';
    tell();
  });
  const wait = async (what: string, isThere: () => boolean, mayEnd = false): Promise<void> => {
    const late = AbortSignal.timeout(WAIT_MS);
    const isLate = once(late, 'abort');
    while (!isThere()) {
      if (late.aborted || (end !== null && !mayEnd)) {
        const text = Buffer.concat(pieces).subarray(0, 2000).toString();
        throw new Error(`${what} did not come; the stream is ${end ?? 'open'}; so far: ${JSON.stringify(text)}`);
      }
      await Promise.race([news.promise, isLate]);
    }
  };
  const client: OldClient = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    get bytes() {
      return Buffer.concat(pieces);
    },
    until: (part) => wait(JSON.stringify(part), () => Buffer.concat(pieces).includes(part)),
    untilBytes: (bytes) => wait(`${bytes} bytes`, () => count >= bytes),
    async endpoint(number = 1) {
      const announced = (): string[] =>
        Array.from(
          Buffer.concat(pieces)
            .toString()
            .matchAll(/^data: ?(\/[\w/.-]+\?token=[\w-]+)[\r\n]/gm),
          ([, url = '']) => url,
        );
      await wait(`endpoint event ${number}`, () => announced().length >= number);
      return announced()[number - 1] ?? '';
    },
    async post(body, more = {}) {
      const url = origin + (await client.endpoint());
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      return exchange(url, 'POST', { ...JSON_TYPE, 'content-length': Buffer.byteLength(bytes), ...more }, bytes);
    },
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    leave: () => void sent.destroy(),
    get closed() {
      return wait('the end', () => end !== null, true).then(() => end ?? 'broken');
    },
  };
  return client;
}
