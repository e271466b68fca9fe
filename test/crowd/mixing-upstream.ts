// A legacy server that mixes up whatever it can: it answers many calls at once and in no order, twice, late, with what
// nobody has asked for, and at last with what it was asked on another stream. Every answer that it owes comes, once, on
// the right stream and first; whatever else it says holds the word STOLEN.

import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import { onTestFinished } from 'vitest';
import type { Seeded } from '../support/seeded.ts';

export const STOLEN = 'stolen';

export interface MixingUpstream {
  readonly url: URL;
  /** Answers of each kind that nobody may get. */
  readonly sent: { duplicate: number; unknown: number; foreign: number };
  /** Told of the mark of each call that has come and is not answered yet. */
  onCall: (mark: string) => void;
  /** The next call is answered on the stream of another, too: the proof that makes a gateway use one link for all. */
  answerElsewhere(): void;
}

interface Call {
  readonly stream: ServerResponse;
  readonly id: number | string;
  readonly mark: string;
  readonly token: unknown;
}

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: {
    readonly protocolVersion?: string;
    readonly arguments?: { readonly mark?: string };
    readonly _meta?: { readonly progressToken?: unknown };
  };
}

/** How many calls are kept at most before they are answered, and for how many turns while no more come. */
const MANY = 48;
const QUIET_TURNS = 3;

export async function startMixingUpstream(random: Seeded): Promise<MixingUpstream> {
  const streams = new Map<string, ServerResponse>();
  /** Answered before, and answered again with the next ones. */
  const again: { readonly stream: ServerResponse; readonly id: number | string }[] = [];
  let waiting: Call[] = [];
  let quiet = 0;
  let isTurning = false;
  let isElsewhereDue = false;

  const say = (stream: ServerResponse, message: object): void => {
    if (!stream.destroyed) stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  };
  const steal = (stream: ServerResponse, id: unknown, kind: keyof MixingUpstream['sent']): void => {
    if (stream.destroyed) return;
    upstream.sent[kind]++;
    say(stream, { id, result: { content: [], structuredContent: { mark: STOLEN } } });
  };

  const answer = ({ stream, id, mark, token }: Call): void => {
    if (isElsewhereDue) {
      const other = [...streams.values()].find((each) => each !== stream && !each.destroyed);
      if (other !== undefined) {
        isElsewhereDue = false;
        steal(other, id, 'foreign');
      }
    }
    if (token !== undefined) {
      const progress = { progressToken: token, progress: 1, message: mark };
      say(stream, { method: 'notifications/progress', params: progress });
    }
    say(stream, { id, result: { content: [{ type: 'text', text: mark }], structuredContent: { mark } } });
    const chance = random.fraction();
    if (chance < 0.04) steal(stream, id, 'duplicate');
    else if (chance < 0.08) again.push({ stream, id });
    else if (chance < 0.11) {
      const strange = [Number(id) + 1e9, -1, `${id}`, 'nobody', 0, 9007199254740991, ''];
      steal(stream, random.pick(strange), 'unknown');
    }
  };

  const turn = (): void => {
    if (waiting.length < MANY && ++quiet < QUIET_TURNS) {
      setImmediate(turn);
      return;
    }
    isTurning = false;
    for (const { stream, id } of again.splice(0)) steal(stream, id, 'duplicate');
    const calls = random.shuffled(waiting);
    waiting = [];
    for (const call of calls) answer(call);
  };

  const take = (stream: ServerResponse, { id, method, params }: Message): void => {
    if (id === undefined) return;
    if (method === 'initialize') {
      const { protocolVersion } = params ?? {};
      say(stream, {
        id,
        result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'm', version: '1' } },
      });
    } else if (method === 'tools/list') {
      say(stream, { id, result: { tools: [{ name: 'mark', inputSchema: { type: 'object' } }] } });
    } else if (method === 'tools/call') {
      const mark = params?.arguments?.mark ?? '';
      waiting.push({ stream, id, mark, token: params?._meta?.progressToken });
      upstream.onCall(mark);
      quiet = 0;
      if (!isTurning) setImmediate(turn);
      isTurning = true;
    } else {
      say(stream, { id, result: {} });
    }
  };

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://up');
    if (request.method === 'GET' && pathname === '/sse') {
      const session = String(streams.size + 1);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: endpoint\ndata: /messages?session=${session}\n\n`);
      streams.set(session, response);
      return;
    }
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const stream = streams.get(searchParams.get('session') ?? '');
      response.writeHead(stream === undefined ? 404 : 202).end();
      if (stream !== undefined) take(stream, JSON.parse(Buffer.concat(pieces).toString('utf8')) as Message);
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;

  const upstream: MixingUpstream = {
    url: new URL(`http://127.0.0.1:${port}/sse`),
    sent: { duplicate: 0, unknown: 0, foreign: 0 },
    onCall: () => {},
    answerElsewhere() {
      isElsewhereDue = true;
    },
  };
  return upstream;
}
