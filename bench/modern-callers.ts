// Virtual clients of 2026-07-28: every request says who sends it and what it can be asked, in its body and its headers.
// And the two callers whose "call" is more than one request: a round (asked, then retried with the answer) and a session
// that is opened and ended.
import { AnswerCheck, RIGHT, callBody, faultOf, parse, wrong, type Call, type Verdict } from './answer-check.ts';
import {
  INITIALIZED,
  REVISION,
  crewOf,
  head,
  initializeBody,
  messagesOf,
  refusalOf,
  sessionHeaders,
  type Caller,
  type Crew,
  type Target,
} from './callers.ts';
import { doorsOf, type Doors } from './doors.ts';
import { HttpSocket, type Answer } from './http-socket.ts';

const MODERN = '2026-07-28';

function modernHead({ path }: Target, tool: string): string {
  return head('POST', path, `mcp-protocol-version: ${MODERN}\r\nmcp-method: tools/call\r\nmcp-name: ${tool}\r\n`);
}

/** The members of `_meta` that every request of this revision has. */
function envelope(capabilities: object): string {
  const members = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  };
  return JSON.stringify(members).slice(1, -1);
}

const ELICITATION = { elicitation: { form: {} } };

abstract class OneConnection implements Caller {
  readonly lane = 0;
  readonly lanes = 1;
  protected readonly socket: HttpSocket;

  constructor({ port }: Target) {
    this.socket = new HttpSocket(port);
  }

  abstract call(call: Call, done: (verdict: Verdict) => void): void;

  close(): void {
    this.socket.close();
  }
}

class ModernCaller extends OneConnection {
  readonly #head: string;
  readonly #meta: string;
  readonly #check: AnswerCheck;

  constructor(target: Target, capabilities: object, answers: AnswerCheck) {
    super(target);
    this.#head = modernHead(target, 'echo');
    this.#meta = envelope(capabilities);
    this.#check = answers;
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    this.socket.send(this.#head, callBody(call, 'echo', this.#meta), (answer) => {
      const refusal = refusalOf(answer);
      if (refusal || answer instanceof Error) done(refusal ?? { kind: 'error', why: 'no answer' });
      else done(this.#check.check(call, messagesOf(answer)));
    });
  }
}

/** No two calls are answered by the same word. */
function wordOf({ nonce }: Call): string {
  return `word-${nonce}`;
}

/** The tool `ask` asks a question that tells the nonce, and answers with the nonce and the word it was told. */
class RoundsCaller extends OneConnection {
  readonly #head: string;
  readonly #meta = envelope(ELICITATION);

  constructor(target: Target) {
    super(target);
    this.#head = modernHead(target, 'ask');
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    this.#post(call, '', done, (first, firstBytes) => {
      const asked = first.result?.inputRequests ?? {};
      const questions = Object.keys(asked);
      const [question] = Object.values(asked);
      const state = first.result?.requestState;
      if (first.result?.resultType !== 'input_required' || typeof state !== 'string' || questions.length !== 1) {
        done(wrong('no question', firstBytes));
        return;
      }
      if (question?.method !== 'elicitation/create' || question.params?.message !== call.nonce) {
        done(wrong(`not the question of ${call.nonce}`, firstBytes));
        return;
      }
      const given = { action: 'accept', content: { word: wordOf(call) } };
      const responses = Object.fromEntries(questions.map((key) => [key, given]));
      const rest = `,"requestState":${JSON.stringify(state)},"inputResponses":${JSON.stringify(responses)}`;
      this.#post(call, rest, done, (last, bytes) => {
        const text = last.result?.content?.[0]?.text;
        done(
          text === `${call.nonce}:${wordOf(call)}` ? RIGHT : wrong(`not the nonce and word of ${call.nonce}`, bytes),
        );
      });
    });
  }

  #post(
    call: Call,
    rest: string,
    done: (verdict: Verdict) => void,
    next: (message: NonNullable<ReturnType<typeof parse>>, bytes: Buffer) => void,
  ): void {
    this.socket.send(this.#head, callBody(call, 'ask', this.#meta, rest), (answer) => {
      const refusal = refusalOf(answer);
      if (refusal || answer instanceof Error) {
        done(refusal ?? { kind: 'error', why: 'no answer' });
        return;
      }
      const bytes = messagesOf(answer).at(-1) ?? Buffer.alloc(0);
      const message = parse(bytes);
      const fault = faultOf(call.id, message, bytes);
      if (fault || message === undefined) done(fault ?? wrong('no JSON', bytes));
      else next(message, bytes);
    });
  }
}

/** `initialize`, `notifications/initialized`, DELETE: no session id is ever given twice. */
class ChurnCaller implements Caller {
  readonly lane = 0;
  readonly lanes = 1;
  readonly #doors: Doors;
  readonly #path: string;
  readonly #seen: Set<string>;

  constructor(doors: Doors, path: string, seen: Set<string>) {
    this.#doors = doors;
    this.#path = path;
    this.#seen = seen;
  }

  call(call: Call, done: (verdict: Verdict) => void): void {
    const fail = (verdict: Verdict): void => done(verdict);
    this.#send('POST', '', initializeBody(REVISION, call.id), [200], fail, (opened) => {
      const bytes = messagesOf(opened).at(-1) ?? Buffer.alloc(0);
      const message = parse(bytes);
      const fault = faultOf(call.id, message, bytes);
      const id = opened.sessionId;
      if (fault) done(fault);
      else if (message?.result?.serverInfo === undefined) done(wrong('no answer to initialize', bytes));
      else if (id === undefined) done({ kind: 'error', why: 'initialize was answered without a session' });
      else if (this.#seen.has(id)) done({ kind: 'wrong', why: `the session ${id} was given twice` });
      else {
        this.#seen.add(id);
        const headers = sessionHeaders(id);
        this.#send('POST', headers, INITIALIZED, [202], fail, () => {
          this.#send('DELETE', headers, '', [200, 202, 204], fail, () => done(RIGHT));
        });
      }
    });
  }

  #send(
    method: string,
    headers: string,
    body: string,
    statuses: readonly number[],
    fail: (verdict: Verdict) => void,
    next: (answer: Answer) => void,
  ): void {
    this.#doors.next().send(head(method, this.#path, headers), body, (answer) => {
      if (answer instanceof Error) fail({ kind: 'error', why: `${method}: ${answer.message}` });
      else if (statuses.includes(answer.status)) next(answer);
      else fail({ kind: 'error', why: `HTTP ${answer.status} to ${method} ${answer.body.toString('utf8', 0, 200)}` });
    });
  }

  close(): void {
    this.#doors.close();
  }
}

export function modernCallers(target: Target, count: number, withElicitation: boolean): Promise<Crew> {
  const answers = new AnswerCheck();
  const capabilities = withElicitation ? ELICITATION : {};
  return Promise.resolve(crewOf(times(count, () => new ModernCaller(target, capabilities, answers))));
}

export function roundsCallers(target: Target, count: number): Promise<Crew> {
  return Promise.resolve(crewOf(times(count, () => new RoundsCaller(target))));
}

export function churnCallers(target: Target, count: number): Promise<Crew> {
  const seen = new Set<string>();
  const open = doorsOf(target);
  return Promise.resolve(crewOf(times(count, () => new ChurnCaller(open(), target.path, seen))));
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
