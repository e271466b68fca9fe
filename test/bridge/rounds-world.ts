// One call of a client of 2026-07-28 and the questions of its upstream, on virtual time: what the client is shown, and
// what the upstream hears.

import { Call } from '../../src/bridge/call.ts';
import { Exchange, type ExchangeEnd } from '../../src/bridge/exchange.ts';
import type { Heard, Question, Refused } from '../../src/bridge/link-listener.ts';
import { Rounds, type RoundsOptions } from '../../src/bridge/rounds.ts';
import { ProxyError } from '../../src/domain/errors.ts';
import { type CapabilityProfile, profileOf } from '../../src/protocol/capability-profile.ts';
import { inputResponses } from '../../src/protocol/input-required.ts';
import { bytesOf, encode } from '../../src/protocol/json-rpc.ts';
import type { LogLevel } from '../../src/protocol/log-level.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { RecordedLease, RecordedSink, notificationOf, requestOf, text } from './recorded.ts';

const EVERYTHING = { roots: {}, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } };

export interface Wish extends Partial<Omit<RoundsOptions, 'profile'>> {
  readonly declares?: object;
}

/** A question as the link keeps it, with what the upstream has got for it. */
export interface Asked {
  readonly question: Question;
  readonly said: Refused | Heard;
  /** All that the upstream was sent as its answer. */
  readonly answers: string[];
}

/** An exchange of the client: its first request, or one with which it comes back. */
export interface Shown {
  readonly exchange: Exchange;
  readonly sink: RecordedSink;
  readonly ends: ExchangeEnd[];
}

export interface Back {
  readonly declares?: object;
  readonly logLevel?: LogLevel | null;
  readonly token?: string | null;
  readonly canStream?: boolean;
}

export class RoundsWorld {
  readonly time = new VirtualTime();
  readonly rounds: Rounds;
  readonly call: Call;
  readonly lease = new RecordedLease(true);
  readonly asks: Asked[] = [];
  readonly first: Shown;
  /** How often the call was held. */
  held = 0;

  constructor({ declares = EVERYTHING, ...options }: Wish = {}) {
    this.first = this.#exchange();
    this.call = new Call({
      request: requestOf({ params: { name: 'x', _meta: { progressToken: 'first' } } }),
      exchange: this.first.exchange,
      clock: this.time,
      timers: this.time,
      requestMs: 1000,
      requestMaxMs: 10_000,
      clientGone: 'cancel',
      again: () => false,
      onUnread: () => {},
    });
    this.rounds = new Rounds({
      timers: this.time,
      maxBytes: 1_000_000,
      profile: profile(declares),
      logLevel: null,
      upstream: '2025-11-25',
      serverInfo: null,
      seal: (round) => `state ${round}`,
      onHeld: () => this.held++,
      undeclared: (required) =>
        new ProxyError('capability_missing', 'undeclared', { data: { requiredCapabilities: required } }),
      ...options,
    });
    this.rounds.serves(this.call);
    this.call.granted(this.lease);
  }

  /** The upstream asks; as the link does, a refusal goes out before what follows from it. */
  ask(method: string, params: object = {}, id: unknown = this.asks.length): Asked {
    const request = requestOf({ id, method, params });
    const answers: string[] = [];
    const question: Question = {
      method,
      id: new Uint8Array(bytesOf(request.bytes, request.id)),
      progressToken: null,
      about: this.call,
      answer: (message) => answers.push(text(message)),
      notify: () => {},
    };
    const said = this.rounds.asked(question, request);
    const asked = { question, said, answers };
    this.asks.push(asked);
    if ('refusal' in said) said.after?.();
    return asked;
  }

  /** A form with one field of this name. */
  form(field: string): Asked {
    return this.ask('elicitation/create', {
      message: field,
      requestedSchema: { type: 'object', properties: { [field]: { type: 'string' } } },
    });
  }

  /** What is wrong with these answers, for the client. */
  faultOf(answers: unknown): string | null {
    return this.rounds.faultOf(responsesIn(answers));
  }

  /** The client comes back with these answers; null where it is not taken. */
  back(answers: unknown, { declares = EVERYTHING, logLevel = null, token = null, canStream = true }: Back = {}) {
    const shown = this.#exchange(canStream);
    const isTaken = this.rounds.resume({
      exchange: shown.exchange,
      progressToken: token === null ? null : encode(token),
      profile: profile(declares),
      logLevel,
      ...responsesIn(answers),
    });
    return isTaken ? shown : null;
  }

  log(level: unknown, about: Call | null = this.call): Heard | null {
    return this.rounds.heard(notificationOf('notifications/message', { level, data: 'x' }), about);
  }

  /** The questions that are shown together have all come. */
  passWindow(): void {
    this.time.advanceSync(5);
  }

  #exchange(canStream = true): Shown {
    const sink = new RecordedSink(canStream);
    const ends: ExchangeEnd[] = [];
    const exchange = new Exchange({
      id: encode('"own"'),
      sink,
      clock: this.time,
      timers: this.time,
      heartbeatMs: null,
      upstream: 'up',
      onEnd: (end) => ends.push(end),
    });
    return { exchange, sink, ends };
  }
}

/** The keys under which the client is asked something; null where it is not. */
export function keysOf({ sink }: Shown): string[] | null {
  const result = sink.json?.result as { resultType?: string; inputRequests?: object } | undefined;
  return result?.resultType === 'input_required' ? Object.keys(result.inputRequests ?? {}) : null;
}

export function accept(value: string) {
  return { action: 'accept', content: { value } };
}

function responsesIn(answers: unknown) {
  const retry = requestOf({ params: { name: 'x', inputResponses: answers } });
  const responses = inputResponses(retry);
  if (responses === null) throw new Error('the answers are no object');
  return { bytes: retry.bytes, responses };
}

function profile(declares: object): CapabilityProfile {
  return profileOf(declares, '2025-11-25');
}
