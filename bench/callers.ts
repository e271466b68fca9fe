// Virtual clients. An HttpCaller posts to /mcp, sessionless or within a session it shares with a few others; a
// LegacyCaller speaks HTTP+SSE to the upstream itself. Each has one call in flight and its own connections.
import { callBody, check, type Call, type Verdict } from './answer-check.ts';
import { GrowingBytes, HttpSocket, type Answer } from './http-socket.ts';

export interface Caller {
  /** Ids of a session must not collide while in flight: this caller uses the ids that are `lane` modulo `lanes`. */
  readonly lane: number;
  readonly lanes: number;
  call(call: Call, done: (verdict: Verdict) => void): void;
}

/** All callers of a round, and the way to end them. */
export interface Crew {
  readonly callers: readonly Caller[];
  close(): Promise<void>;
}

const REVISION = '2025-06-18';
const FRAME_END = Buffer.from('\n\n');
const DATA = Buffer.from('data: ');

function head(method: string, path: string, extra = ''): string {
  const type = method === 'POST' ? 'content-type: application/json\r\n' : '';
  const accept = method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
  return `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${type}accept: ${accept}\r\n${extra}`;
}

function initializeBody(protocolVersion: string): string {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  return JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
}

const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

/** One request, awaited: for everything outside the measured time. */
function ask(socket: HttpSocket, requestHead: string, body: string, status: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    socket.send(requestHead, body, (answer) => {
      if (answer instanceof Error) reject(answer);
      else if (answer.status === status) resolve(answer);
      else reject(new Error(`HTTP ${answer.status} for ${body.slice(0, 80)}: ${answer.body.toString()}`));
    });
  });
}

/** The data of each frame in `bytes`, and where the first unfinished frame begins. LF and one data line: our upstream. */
function framesOf(bytes: Buffer): { readonly messages: Buffer[]; readonly end: number } {
  const messages: Buffer[] = [];
  let at = 0;
  for (let end = bytes.indexOf(FRAME_END); end !== -1; end = bytes.indexOf(FRAME_END, at)) {
    const data = bytes.subarray(at, end).indexOf(DATA);
    // Comments have no data, and an event that only carries an id has none either.
    if (data !== -1 && at + data + DATA.length < end) messages.push(bytes.subarray(at + data + DATA.length, end));
    at = end + FRAME_END.length;
  }
  return { messages, end: at };
}

class HttpCaller implements Caller {
  readonly lane: number;
  readonly lanes: number;
  readonly #socket: HttpSocket;
  readonly #head: string;

  constructor(port: number, session: string, lane: number, lanes: number) {
    this.#socket = new HttpSocket(port);
    this.#head = head('POST', '/mcp', session);
    this.lane = lane;
    this.lanes = lanes;
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    this.#socket.send(this.#head, callBody(call), (answer) => {
      if (answer instanceof Error) done({ kind: 'error', why: answer.message });
      else if (answer.status !== 200) done({ kind: 'error', why: `HTTP ${answer.status} ${answer.body.toString()}` });
      else done(check(call, answer.isEventStream ? framesOf(answer.body).messages : [answer.body]));
    });
  }

  close(): void {
    this.#socket.close();
  }
}

export function sessionlessCallers(port: number, count: number): Promise<Crew> {
  const callers = Array.from({ length: count }, () => new HttpCaller(port, '', 0, 1));
  return Promise.resolve({
    callers,
    close: () => Promise.resolve(callers.forEach((caller) => caller.close())),
  });
}

/** At most eight sessions, each with its GET stream open, on which nothing may arrive that belongs to a call. */
export async function sessionCallers(port: number, count: number, misrouted: () => void): Promise<Crew> {
  const sessions = Math.min(8, count);
  const callers: HttpCaller[] = [];
  const closers: (() => Promise<void>)[] = [];
  for (let session = 0; session < sessions; session += 1) {
    const socket = new HttpSocket(port);
    const opened = await ask(socket, head('POST', '/mcp'), initializeBody(REVISION), 200);
    const headers = `mcp-session-id: ${opened.sessionId}\r\nmcp-protocol-version: ${REVISION}\r\n`;
    await ask(socket, head('POST', '/mcp', headers), INITIALIZED, 202);
    const stream = new HttpSocket(port);
    const watch = (bytes: Buffer): void => {
      if (bytes.includes('jsonrpc')) misrouted();
    };
    stream.send(head('GET', '/mcp', headers), '', () => {}, watch);
    const lanes = Math.ceil((count - session) / sessions);
    for (let lane = 0; lane < lanes; lane += 1) callers.push(new HttpCaller(port, headers, lane, lanes));
    closers.push(async () => {
      stream.close();
      await new Promise((resolve) => socket.send(head('DELETE', '/mcp', headers), '', resolve));
      socket.close();
    });
  }
  return {
    callers,
    async close() {
      for (const caller of callers) caller.close();
      await Promise.all(closers.map((close) => close()));
    },
  };
}

class LegacyCaller implements Caller {
  readonly lane = 0;
  readonly lanes = 1;
  readonly #stream: HttpSocket;
  readonly #posts: HttpSocket;
  readonly #bytes = new GrowingBytes();
  #head = '';
  #take: (message: Buffer) => void = () => {};

  constructor(port: number) {
    this.#stream = new HttpSocket(port);
    this.#posts = new HttpSocket(port);
  }

  async open(): Promise<void> {
    const endpoint = this.#next();
    this.#stream.send(
      head('GET', '/sse'),
      '',
      () => {},
      (bytes) => this.#read(bytes),
    );
    this.#head = head('POST', (await endpoint).toString());
    const initialized = this.#next();
    await ask(this.#posts, this.#head, initializeBody('2024-11-05'), 202);
    await initialized;
    await ask(this.#posts, this.#head, INITIALIZED, 202);
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    const messages: Buffer[] = [];
    let accepted = false;
    let verdict: Verdict | undefined;
    this.#take = (message) => {
      // A copy of what comes before the answer: the stream's buffer moves on.
      if (messages.length < call.progress) {
        messages.push(Buffer.from(message));
        return;
      }
      messages.push(message);
      verdict = check(call, messages);
      if (accepted) done(verdict);
    };
    this.#posts.send(this.#head, callBody(call), (answer) => {
      accepted = true;
      if (answer instanceof Error) done({ kind: 'error', why: answer.message });
      else if (answer.status !== 202) done({ kind: 'error', why: `HTTP ${answer.status}` });
      else if (verdict) done(verdict);
    });
  }

  close(): void {
    this.#stream.close();
    this.#posts.close();
  }

  #next(): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#take = (message) => resolve(Buffer.from(message));
    });
  }

  #read(bytes: Buffer): void {
    // A frame ends in this piece or it does not; what was searched before is not searched again.
    this.#bytes.add(bytes);
    if (bytes.indexOf(FRAME_END) === -1 && bytes[0] !== FRAME_END[0]) return;
    const { messages, end } = framesOf(this.#bytes.view());
    for (const message of messages) this.#take(message);
    this.#bytes.drop(end);
  }
}

export async function legacyCallers(port: number, count: number): Promise<Crew> {
  const callers = Array.from({ length: count }, () => new LegacyCaller(port));
  await Promise.all(callers.map((caller) => caller.open()));
  return {
    callers,
    close: () => Promise.resolve(callers.forEach((caller) => caller.close())),
  };
}
