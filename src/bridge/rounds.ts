// What an upstream asks while it works on the call of a client that stands alone: questions that come together go out
// as one `input_required` result, and the call is held until the client comes back with the answers.
//
// [spec 2026-07-28 mrtr] servers "MUST NOT send" inputs that the client did not declare, and "MUST NOT assume" that it
// ever comes back.

import type { ProxyError } from '../domain/errors.ts';
import type { Reader, Timer, Timers } from '../domain/ports.ts';
import type { CapabilityProfile } from '../protocol/capability-profile.ts';
import type { UpstreamRevision } from '../protocol/eras.ts';
import {
  answerUpstream,
  inputKey,
  inputRequest,
  inputRequiredResult,
  responseFault,
} from '../protocol/input-required.ts';
import type { Member } from '../protocol/json-scanner.ts';
import { type Notification, type Request, textOf } from '../protocol/json-rpc.ts';
import { type LogLevel, isLogLevel, passes } from '../protocol/log-level.ts';
import type { Call } from './call.ts';
import type { Exchange } from './exchange.ts';
import type { Heard, LinkListener, Question, Refused } from './link-listener.ts';
import { isDeclared, missingCapabilities, refusal, refusalOf } from './questions.ts';
import { UNDECLARED } from './reply-router.ts';

export interface RoundsOptions {
  readonly timers: Timers;
  /** Of all questions that are open at once. */
  readonly maxBytes: number;
  /** What the client of the first request can be asked; a retry may declare something else. */
  readonly profile: CapabilityProfile;
  /** The least severe message that the client wants to see; null: none. */
  readonly logLevel: LogLevel | null;
  readonly upstream: UpstreamRevision;
  readonly serverInfo: Uint8Array | null;
  /** The `requestState` of a round. */
  readonly seal: (round: number) => string;
  /** The call is held now, and somebody must see to it that this ends. */
  readonly onHeld: () => void;
  /** What the client hears when its call needs what it did not declare. */
  readonly undeclared: (required: object) => ProxyError;
}

interface Asked {
  readonly question: Question;
  readonly entry: Uint8Array;
  /** What a client must declare to be asked this. */
  readonly required: object;
}

export interface Retry {
  readonly exchange: Exchange;
  readonly progressToken: Uint8Array | null;
  readonly profile: CapabilityProfile;
  readonly logLevel: LogLevel | null;
  /** Of the bytes that hold the answers. */
  readonly bytes: Uint8Array;
  readonly responses: ReadonlyMap<string, Member>;
}

/** Questions of one Promise.all arrive within 3 ms. Counted from the first. */
const TOGETHER_MS = 5;
/** Of one call. A server that asks more without end is broken. */
const MAX_QUESTIONS = 1000;

export class Rounds implements LinkListener {
  readonly #options: RoundsOptions;
  #call: Call | null = null;
  #profile: CapabilityProfile;
  #logLevel: LogLevel | null;
  /** Not answered yet, by the client's key; those that it has not seen are among them. */
  readonly #open = new Map<string, Asked>();
  readonly #unseen = new Set<string>();
  readonly #usedKeys = new Set<string>();
  #window: Timer | null = null;
  #round = 0;
  #hasAnswer = true;

  /** The client came back without any answer: its time has not begun anew. */
  get isAskingAgain(): boolean {
    return !this.#hasAnswer;
  }

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#profile = options.profile;
    this.#logLevel = options.logLevel;
  }

  /** Before the call begins. */
  serves(call: Call): void {
    this.#call = call;
  }

  /** Of the latest result; a state of an earlier one is used up. */
  get round(): number {
    return this.#round;
  }

  // What the upstream asks and says: see LinkListener

  asked(question: Question, request: Request): Refused | Heard {
    const call = this.#call;
    const phase = call?.state.phase;
    if (call === null || (phase !== 'run' && phase !== 'held')) return { refusal: OVER };
    call.showsLife();
    const refused = refusalOf(request, this.#profile);
    const required = missingCapabilities(request);
    if (required === null) return { refusal: refused ?? UNDECLARED };
    // Strict: without that the call cannot come to what it was meant for.
    if (refused !== null) return { refusal: refused, after: () => call.failed(this.#options.undeclared(required)) };
    if (this.#usedKeys.size >= MAX_QUESTIONS || this.#openBytes + request.bytes.length > this.#options.maxBytes) {
      return { refusal: TOO_MANY };
    }
    const key = inputKey(request, this.#round + 1, this.#usedKeys);
    this.#usedKeys.add(key);
    this.#open.set(key, { question, entry: inputRequest(request), required });
    this.#unseen.add(key);
    // While held there is nobody to show it to: it goes with the next round.
    if (phase === 'run') this.#gather();
    return { by: null };
  }

  withdrawn(question: Question): Reader | null {
    for (const [key, open] of this.#open) if (open.question === question) this.#forget(key);
    if (this.#open.size === 0) this.#stopGathering();
    return null;
  }

  /** Log messages say of what severity they are, and nothing of the call that they are about: that is told by the link. */
  heard(message: Notification, about: Call | null): Heard | null {
    if (about !== this.#call || about === null || message.method !== 'notifications/message') return null;
    const level = message.params?.members.get('level');
    const severity = level?.kind === 'string' ? textOf(message.bytes, level) : null;
    // [spec 2026-07-28 logging] "MUST NOT" be sent for a request without a level.
    if (this.#logLevel === null || !isLogLevel(severity) || !passes(severity, this.#logLevel)) return null;
    return about.tell([message.bytes]) ? { by: about } : null;
  }

  // What the client comes back with

  /** What is wrong with the answers, for the client; null where nothing is. Nothing is used up. */
  faultOf({ bytes, responses }: Pick<Retry, 'bytes' | 'responses'>): string | null {
    for (const [key, { question }] of this.#open) {
      const response = this.#unseen.has(key) ? undefined : responses.get(key);
      const fault = response === undefined ? null : responseFault(question.method, bytes, response);
      if (fault !== null) return `inputResponses[${JSON.stringify(key)}]: ${fault}`;
    }
    return null;
  }

  /** Takes the held call over. False: it is not held. Keys that were not asked for mean nothing. */
  resume({ exchange, progressToken, profile, logLevel, bytes, responses }: Retry): boolean {
    const call = this.#call;
    if (call === null || !call.resume(exchange, progressToken)) return false;
    this.#profile = profile;
    this.#logLevel = logLevel;
    if (call.state.phase !== 'run') return true;
    this.#hasAnswer = this.#open.size === 0;
    for (const [key, { question }] of this.#open) {
      const response = this.#unseen.has(key) ? undefined : responses.get(key);
      if (response === undefined) continue;
      this.#hasAnswer = true;
      this.#forget(key);
      question.answer([answerUpstream(question, bytes, response, this.#options.upstream)]);
    }
    // [spec 2026-07-28 mrtr] an answer that is missing "SHOULD" be asked for again.
    if (this.#open.size > 0) this.#gather();
    return true;
  }

  get #openBytes(): number {
    let bytes = 0;
    for (const { entry } of this.#open.values()) bytes += entry.length;
    return bytes;
  }

  #gather(): void {
    this.#window ??= this.#options.timers.after(TOGETHER_MS, () => {
      this.#window = null;
      this.#ask();
    });
  }

  #stopGathering(): void {
    this.#window?.cancel();
    this.#window = null;
  }

  #ask(): void {
    const call = this.#call;
    if (call?.state.phase !== 'run' || this.#open.size === 0) return;
    // A retry may declare less than the request for which this was asked.
    const undeclared = [...this.#open.values()].find(({ required }) => !isDeclared(required, this.#profile));
    if (undeclared !== undefined) {
      undeclared.question.answer([refusal(undeclared.question.id, UNDECLARED)]);
      call.failed(this.#options.undeclared(undeclared.required));
      return;
    }
    this.#round++;
    this.#unseen.clear();
    const entries = new Map([...this.#open].map(([key, { entry }]) => [key, entry]));
    const { seal, serverInfo, onHeld } = this.#options;
    call.hold(inputRequiredResult(entries, seal(this.#round), serverInfo));
    onHeld();
  }

  #forget(key: string): void {
    this.#open.delete(key);
    this.#unseen.delete(key);
  }
}

const OVER = { code: -32603, message: 'the call that could have asked is over' };
const TOO_MANY = { code: -32603, message: 'too many questions for one call' };
