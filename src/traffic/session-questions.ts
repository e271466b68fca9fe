// What the upstream asks the client of one session: each question under an id of ours, answered once, by the client or,
// when that will not happen, by us.

import type { Call } from '../bridge/call.ts';
import { answerOfNobody, refusal, refusalOf } from '../bridge/questions.ts';
import type { Refusal } from '../bridge/reply-router.ts';
import type { Chunks, Reader } from '../domain/ports.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import {
  type Answer,
  type Notification,
  type Request,
  encode,
  idText,
  ownMessage,
  parsed,
  textOf,
} from '../protocol/json-rpc.ts';
import { NOTHING, rewrite } from '../protocol/rewrites.ts';
import type { Heard, Question, Refused } from '../bridge/link-listener.ts';

/** A question that the client has been shown, or will be. */
export interface Shown {
  readonly question: Question;
  /** By which the client knows it. */
  readonly id: string;
}

export interface SessionQuestionsOptions {
  /** What the client can be asked. */
  readonly profile: CapabilityProfile;
  /** Brings a message to the client: a question, or the word that one is withdrawn. Returns who reads it. */
  readonly show: (message: Chunks, about: Call | null, shown: Shown | null) => Reader | null;
  /** Takes back what was not shown yet; false where it was. */
  readonly unshow: (shown: Shown) => boolean;
  /** An answer to what another replica has asked must not be taken for one to what is asked here. */
  readonly firstNumber?: number;
}

/** Elicitations by URL that are remembered until they complete. */
const MAX_ELICITATIONS = 1000;
const MAX_ELICITATION_ID = 1024;
const MAX_ANNOUNCEMENT_BYTES = 65_536;
const GONE = 'the server does not wait for an answer any more';
const NO_STREAM: Refusal = { code: -32603, message: 'the client has no stream on which it could be asked' };

export class SessionQuestions {
  readonly #options: SessionQuestionsOptions;
  /** By the client's id. */
  readonly #shown = new Map<string, Shown>();
  #next: number;
  /** Elicitations by URL that the client was shown: only it hears of their completion. */
  readonly #elicitations = new Set<string>();

  constructor(options: SessionQuestionsOptions) {
    this.#options = options;
    this.#next = options.firstNumber ?? 1;
  }

  /** See LinkListener. */
  asked(question: Question, request: Request): Refused | Heard {
    const refused = refusalOf(request, this.#options.profile);
    if (refused !== null) return { refusal: refused };
    const shown: Shown = { question, id: `causeway-${this.#next++}` };
    this.#shown.set(shown.id, shown);
    this.#rememberElicitation(request);
    const message = rewrite(request, { questionId: encode(`"${shown.id}"`), questionTask: NOTHING });
    return { by: this.#options.show(message, question.about, shown) };
  }

  /** See LinkListener. */
  withdrawn(question: Question, message: Notification | null): Reader | null {
    const shown = [...this.#shown.values()].find((each) => each.question === question);
    if (shown === undefined) return null;
    this.#shown.delete(shown.id);
    if (this.#options.unshow(shown)) return null;
    const told =
      message === null
        ? [ownMessage({ method: 'notifications/cancelled', params: { requestId: shown.id, reason: GONE } })]
        : rewrite(message, { withdrawnQuestionId: encode(`"${shown.id}"`) });
    return this.#options.show(told, question.about, null);
  }

  /** The client's answer. False: nothing was asked under this id, or it was answered already. */
  answered(answer: Answer): boolean {
    const id = answer.id?.kind === 'string' ? textOf(answer.bytes, answer.id) : null;
    const shown = id === null ? undefined : this.#shown.get(id);
    if (shown === undefined) return false;
    this.#shown.delete(shown.id);
    // Answered before it was shown: its id can be guessed.
    this.#options.unshow(shown);
    shown.question.answer(rewrite(answer, { questionAnswerId: shown.question.id }));
    return true;
  }

  /** There was no stream to show it on. */
  unshowable({ id, question }: Shown): void {
    if (this.#shown.delete(id)) question.answer([refusal(question.id, NO_STREAM)]);
  }

  /** Nobody will answer any more. */
  end(why: string): void {
    for (const { question } of this.#shown.values()) question.answer([answerOfNobody(question, why)]);
    this.#shown.clear();
  }

  /** A client's progress on an answer that it is still to give; the token is the upstream's own. False: it is none. */
  progress(message: Notification): boolean {
    const member = message.params?.members.get('progressToken');
    const token = member === undefined ? null : idText(message.bytes, member);
    const shown = [...this.#shown.values()].find(({ question }) => question.progressToken === token);
    if (token === null || shown === undefined) return false;
    shown.question.notify([message.bytes]);
    return true;
  }

  /**
   * Whether this completion is of an elicitation that the client was told of.
   * [spec 2025-11-25 elicitation] "MUST only send the notification to the client that initiated the elicitation request."
   */
  isCompletion({ bytes, params }: Notification): boolean {
    const id = params?.members.get('elicitationId');
    return id?.kind === 'string' && this.#elicitations.delete(textOf(bytes, id));
  }

  /**
   * The upstream may have told the client of elicitations by an error.
   * [spec 2025-11-25 elicitation] "URLElicitationRequiredError (code -32042)".
   */
  announced(answer: Answer): void {
    if (answer.kind !== 'error') return;
    const data = answer.error.members.get('data');
    if (data === undefined || data.end - data.start > MAX_ANNOUNCEMENT_BYTES) return;
    const value = parsed(answer.bytes, data);
    const list: unknown =
      typeof value === 'object' && value !== null && 'elicitations' in value ? value.elicitations : null;
    for (const each of Array.isArray(list) ? (list as unknown[]) : []) {
      if (typeof each === 'object' && each !== null && 'elicitationId' in each) this.#remember(each.elicitationId);
    }
  }

  #rememberElicitation({ bytes, params }: Request): void {
    const id = params?.members.get('elicitationId');
    if (id?.kind === 'string') this.#remember(textOf(bytes, id));
  }

  #remember(id: unknown): void {
    if (typeof id !== 'string' || id.length > MAX_ELICITATION_ID) return;
    this.#elicitations.add(id);
    const [oldest] = this.#elicitations;
    if (this.#elicitations.size > MAX_ELICITATIONS && oldest !== undefined) this.#elicitations.delete(oldest);
  }
}
