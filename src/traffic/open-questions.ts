// The requests of an upstream that are open on one link, each answered exactly once: by the session that was asked, or,
// where the session does not answer any more, by us.

import type { Call } from '../bridge/call.ts';
import { answerOfNobody, refusal } from '../bridge/questions.ts';
import type { Refusal } from '../bridge/reply-router.ts';
import type { Chunks, Reader } from '../domain/ports.ts';
import { type Notification, type Request, bytesOf, idText } from '../protocol/json-rpc.ts';
import type { LinkListener, Question } from '../bridge/link-listener.ts';

export interface OpenQuestionsOptions {
  /** Sends an answer to the upstream. */
  readonly send: (answer: Chunks) => void;
  readonly notify: (message: Chunks) => void;
  readonly onRefused: (method: string) => void;
  /** Somebody was sent so many bytes. */
  readonly onRead: (reader: Reader | null, bytes: number) => void;
}

interface Open {
  readonly question: Question & { about: Call | null };
  readonly session: LinkListener;
}

/** On one link at once: a server that asks more without waiting for answers is broken. */
const MAX_OPEN = 1000;
/** What is kept of a question, its id and its progress token, is no longer than this. */
const MAX_KEPT_BYTES = 1024;
const TOO_LONG: Refusal = { code: -32600, message: `an id of a request is at most ${MAX_KEPT_BYTES} bytes` };
const TOO_MANY: Refusal = { code: -32603, message: 'too many requests are open' };
const ASKED_TWICE: Refusal = { code: -32600, message: 'a request with this id is open already' };

export class OpenQuestions {
  readonly #options: OpenQuestionsOptions;
  /** By the upstream's id. */
  readonly #open = new Map<string, Open>();

  constructor(options: OpenQuestionsOptions) {
    this.#options = options;
  }

  /** Puts a question to a session, or refuses it. */
  ask(request: Request, session: LinkListener, about: Call | null): void {
    if (request.id.end - request.id.start > MAX_KEPT_BYTES) {
      this.refuse(request, TOO_LONG);
      return;
    }
    const key = idText(request.bytes, request.id);
    if (this.#open.has(key) || this.#open.size >= MAX_OPEN) {
      this.refuse(request, this.#open.has(key) ? ASKED_TWICE : TOO_MANY);
      return;
    }
    const given = request.meta?.members.get('progressToken');
    const token = given !== undefined && given.end - given.start > MAX_KEPT_BYTES ? undefined : given;
    const question: Open['question'] = {
      method: request.method,
      id: new Uint8Array(bytesOf(request.bytes, request.id)),
      progressToken: token === undefined ? null : idText(request.bytes, token),
      about,
      answer: (message) => {
        if (this.#open.get(key)?.question !== question) return;
        this.#open.delete(key);
        this.#options.send(message);
      },
      notify: (message) => this.#options.notify(message),
    };
    // Before it is asked: the answer can be there before that returns.
    this.#open.set(key, { question, session });
    const asked = session.asked(question, request);
    if ('by' in asked) {
      this.#options.onRead(asked.by, request.bytes.length);
      return;
    }
    this.#open.delete(key);
    this.refuse(request, asked.refusal);
    asked.after?.();
  }

  refuse(request: Request, why: Refusal): void {
    this.#options.onRefused(request.method);
    this.#options.send([refusal(bytesOf(request.bytes, request.id), why)]);
  }

  /** The upstream does not want an answer any more. False: it has not asked that. */
  withdraw(message: Notification): boolean {
    const named = message.params?.members.get('requestId');
    const key = named === undefined ? null : idText(message.bytes, named);
    const open = key === null ? undefined : this.#open.get(key);
    if (key === null || open === undefined) return false;
    this.#open.delete(key);
    this.#options.onRead(open.session.withdrawn(open.question, message), message.bytes.length);
    return true;
  }

  /** A call is over. `why`: its questions are, too; null: an answer to them may still be of use. */
  callEnded(call: Call, why: string | null): void {
    for (const open of this.#open.values()) {
      if (open.question.about !== call) continue;
      if (why !== null) this.#giveUp(open, why);
      // What is over must not be kept alive by what it asked.
      else open.question.about = null;
    }
  }

  /** The link is closed by us: the upstream gets its answers while it can. */
  giveUpAll(why: string): void {
    for (const open of this.#open.values()) this.#giveUp(open, why);
  }

  /** The link is gone: nothing can be answered any more. */
  lost(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const { question, session } of all) session.withdrawn(question, null);
  }

  #giveUp({ question, session }: Open, why: string): void {
    session.withdrawn(question, null);
    question.answer([answerOfNobody(question, why)]);
  }
}
