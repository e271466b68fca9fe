// Virtual clients. An HttpCaller posts to a gateway, sessionless or within a session it shares with a few others; a
// LegacyCaller speaks HTTP+SSE to the upstream itself. Each has one call in flight and its own connections.
import { AnswerCheck, callBody, type Call, type Verdict } from './answer-check.ts';
import { doorsOf, homeOf, type Doors, type Target } from './doors.ts';
import { GrowingBytes, HttpSocket, type Answer } from './http-socket.ts';

export type { Target } from './doors.ts';

export interface Caller {
  /** Ids of a session must not collide while in flight: this caller uses the ids that are `lane` modulo `lanes`. */
  readonly lane: number;
  readonly lanes: number;
  call(call: Call, done: (verdict: Verdict) => void): void;
  close(): void;
}

/** All callers of a round, and the way to end them. */
export interface Crew {
  readonly callers: readonly Caller[];
  /** Messages that came on a stream on which none belongs. */
  misrouted(): number;
  close(): Promise<void>;
}

export const REVISION = '2025-06-18';
const MAX_SESSIONS = 8;
/** So many sessions are opened at a time. */
const OPENERS = 8;
/** An idle stream has little to say, and there are a thousand of them. */
const IDLE_READ_BYTES = 2048;
const FRAME_END = Buffer.from('\n\n');
const DATA = Buffer.from('data: ');

export function head(method: string, path: string, extra = ''): string {
  const type = method === 'POST' ? 'content-type: application/json\r\n' : '';
  const accept = method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
  return `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${type}accept: ${accept}\r\n${extra}`;
}

export function initializeBody(protocolVersion: string, id: number | string = 0): string {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params });
}

export const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

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

/** The messages of a reply, whether it is JSON or a stream. */
export function messagesOf(answer: Answer): Buffer[] {
  return answer.isEventStream ? framesOf(answer.body).messages : [answer.body];
}

/** Why a reply holds no messages to check. */
export function refusalOf(answer: Answer | Error): Verdict | undefined {
  if (answer instanceof Error) return { kind: 'error', why: answer.message };
  return answer.status === 200
    ? undefined
    : { kind: 'error', why: `HTTP ${answer.status} ${answer.body.toString('utf8', 0, 200)}` };
}

interface Lane {
  readonly session: Session | undefined;
  readonly lane: number;
  readonly lanes: number;
}

class HttpCaller implements Caller {
  readonly lane: number;
  readonly lanes: number;
  readonly #doors: Doors;
  readonly #head: string;
  readonly #session: string | undefined;
  readonly #check: AnswerCheck;

  constructor(doors: Doors, path: string, { session, lane, lanes }: Lane, answers: AnswerCheck) {
    this.#doors = doors;
    this.#head = head('POST', path, session?.headers);
    this.#session = session?.id;
    this.#check = answers;
    this.lane = lane;
    this.lanes = lanes;
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    this.#doors.next().send(this.#head, callBody(call), (answer) => {
      const refusal = refusalOf(answer);
      if (refusal || answer instanceof Error) done(refusal ?? { kind: 'error', why: 'no answer' });
      else if (answer.sessionId !== undefined && answer.sessionId !== this.#session) {
        done({ kind: 'wrong', why: `the session ${answer.sessionId} for a call of ${this.#session ?? 'none'}` });
      } else done(this.#check.check(call, messagesOf(answer)));
    });
  }

  close(): void {
    this.#doors.close();
  }
}

export function sessionlessCallers(target: Target, count: number): Promise<Crew> {
  const answers = new AnswerCheck();
  const lane = { session: undefined, lane: 0, lanes: 1 };
  const open = doorsOf(target);
  return Promise.resolve(
    crewOf(Array.from({ length: count }, () => new HttpCaller(open(), target.path, lane, answers))),
  );
}

export function crewOf(callers: readonly Caller[]): Crew {
  return {
    callers,
    misrouted: () => 0,
    close: () => Promise.resolve(callers.forEach((caller) => caller.close())),
  };
}

interface Session {
  readonly id: string;
  readonly headers: string;
}

async function openSession(socket: HttpSocket, { path }: Target): Promise<Session> {
  const opened = await ask(socket, head('POST', path), initializeBody(REVISION), 200);
  const id = opened.sessionId;
  if (id === undefined) throw new Error('initialize was answered without a session');
  const headers = sessionHeaders(id);
  await ask(socket, head('POST', path, headers), INITIALIZED, 202);
  return { id, headers };
}

export function sessionHeaders(id: string): string {
  return `mcp-session-id: ${id}\r\nmcp-protocol-version: ${REVISION}\r\n`;
}

function endSession(socket: HttpSocket, { path }: Target, { headers }: Session): Promise<void> {
  return new Promise((resolve) => socket.send(head('DELETE', path, headers), '', () => resolve()));
}

/** Opens it and waits for its head: from then on the session is one that listens. */
function openStream(
  doors: Doors,
  path: string,
  { headers }: Session,
  take: (bytes: Buffer) => void,
): Promise<HttpSocket> {
  return new Promise((resolve, reject) => {
    const socket = doors.next();
    const ended = (answer: Answer | Error): void =>
      reject(answer instanceof Error ? answer : new Error(`HTTP ${answer.status} for a GET`));
    socket.send(head('GET', path, headers), '', ended, take, () => resolve(socket));
  });
}

/** At most eight sessions; a GET stream of one is open or not, and nothing may arrive there that belongs to a call. */
export async function sessionCallers(target: Target, count: number, withStream: boolean): Promise<Crew> {
  const wanted = Math.min(MAX_SESSIONS, count);
  const answers = new AnswerCheck();
  let misrouted = 0;
  const watch = (bytes: Buffer): void => {
    if (bytes.includes('"jsonrpc"')) misrouted += 1;
  };
  const open = doorsOf(target);
  const opened = await Promise.all(
    Array.from({ length: wanted }, async (_, index) => {
      const socket = new HttpSocket(homeOf(target, index));
      const session = await openSession(socket, target);
      const stream = withStream ? await openStream(open(), target.path, session, watch) : undefined;
      return { socket, session, stream };
    }),
  );
  if (new Set(opened.map(({ session }) => session.id)).size !== wanted) throw new Error('one session was given twice');
  const callers = opened.flatMap(({ session }, index) => {
    const lanes = Math.ceil((count - index) / wanted);
    return Array.from(
      { length: lanes },
      (_, lane) => new HttpCaller(open(), target.path, { session, lane, lanes }, answers),
    );
  });
  return {
    callers,
    misrouted: () => misrouted,
    async close() {
      for (const caller of callers) caller.close();
      await Promise.all(
        opened.map(async ({ socket, session, stream }) => {
          stream?.close();
          await endSession(socket, target, session);
          socket.close();
        }),
      );
    },
  };
}

/** So many sessions with their streams, and nobody who calls. */
export async function idleSessions(target: Target, count: number): Promise<Crew> {
  const held: { readonly session: Session; readonly stream: HttpSocket }[] = [];
  const openers = Array.from({ length: Math.min(OPENERS, count) }, (_, index) => new HttpSocket(homeOf(target, index)));
  const open = doorsOf(target, IDLE_READ_BYTES);
  let left = count;
  await Promise.all(
    openers.map(async (socket) => {
      while (left > 0) {
        left -= 1;
        const session = await openSession(socket, target);
        held.push({ session, stream: await openStream(open(), target.path, session, () => {}) });
      }
    }),
  );
  return {
    callers: [],
    misrouted: () => 0,
    async close() {
      for (const { stream } of held) stream.close();
      await Promise.all(
        openers.map(async (socket) => {
          for (let next = held.pop(); next !== undefined; next = held.pop()) {
            await endSession(socket, target, next.session);
          }
          socket.close();
        }),
      );
    },
  };
}

class LegacyCaller implements Caller {
  readonly lane = 0;
  readonly lanes = 1;
  readonly #stream: HttpSocket;
  readonly #posts: HttpSocket;
  readonly #path: string;
  readonly #check: AnswerCheck;
  readonly #bytes = new GrowingBytes();
  #head = '';
  #take: (message: Buffer) => void = () => {};

  constructor({ port, path }: Target, answers: AnswerCheck) {
    this.#stream = new HttpSocket(port);
    this.#posts = new HttpSocket(port);
    this.#path = path;
    this.#check = answers;
  }

  async open(): Promise<void> {
    const endpoint = this.#next();
    this.#stream.send(
      head('GET', this.#path),
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
      verdict = this.#check.check(call, messages);
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

export async function legacyCallers(target: Target, count: number): Promise<Crew> {
  const answers = new AnswerCheck();
  const callers = Array.from({ length: count }, () => new LegacyCaller(target, answers));
  await Promise.all(callers.map((caller) => caller.open()));
  return crewOf(callers);
}
