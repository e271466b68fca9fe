// What a call asks, and whether an answer is the one it asked for: the value and the type of its id, the nonce, the
// padding to the last byte, and before it every progress notification with its token, in order.
// The bytes the upstream is known to send are compared first. Bytes that differ (a peer may order members as it likes,
// and answers of 2026-07-28 have more of them) are parsed, and where they are right, their form is known from then on:
// otherwise the load would pay more for checking one kind of answer than another, and the ratios would tell of that.
import { echoAnswerHead, echoAnswerTail, padding, paddingBytes, progressNotification } from './echo-tool.ts';

export interface Call {
  readonly id: number | string;
  readonly nonce: string;
  /** Characters of padding in the answer. */
  readonly size: number;
  readonly progress: number;
  /** Characters of padding in the request. */
  readonly payload: number;
}

export type Verdict =
  | {
      readonly kind: 'right';
      readonly progressLost: number;
      /** Messages of another call that came with this one. */
      readonly misrouted: number;
    }
  /** The peer refused or failed the call and said so. */
  | { readonly kind: 'error'; readonly why: string }
  /** The peer gave something that is not the answer to this call. */
  | { readonly kind: 'wrong'; readonly why: string };

export interface Parsed {
  readonly jsonrpc?: unknown;
  readonly id?: unknown;
  readonly method?: unknown;
  readonly error?: unknown;
  readonly params?: { readonly progressToken?: unknown; readonly progress?: unknown };
  readonly result?: {
    readonly content?: readonly { readonly text?: unknown }[];
    readonly resultType?: unknown;
    readonly requestState?: unknown;
    readonly inputRequests?: Readonly<
      Record<string, { readonly method?: unknown; readonly params?: { readonly message?: unknown } }>
    >;
    readonly serverInfo?: unknown;
  };
}

export const RIGHT: Verdict = { kind: 'right', progressLost: 0, misrouted: 0 };
const SHOWN_CHARS = 160;
const MAX_FORMS = 4;

/** `meta` are members of `_meta`, as JSON without the braces; `rest` are further members of `params`. */
export function callBody(call: Call, tool = 'echo', meta = '', rest = ''): string {
  const id = JSON.stringify(call.id);
  // The token is the id again: it collides across callers just as much, in value and in type.
  const token = call.progress > 0 ? `"progressToken":${id}` : '';
  const members = token !== '' && meta !== '' ? `${meta},${token}` : meta + token;
  const payload = call.payload > 0 ? `,"payload":"${padding(call.payload)}"` : '';
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{"nonce":"${call.nonce}","size":${call.size},"progress":${call.progress}${payload}}${members === '' ? '' : `,"_meta":{${members}}`}${rest}}}`;
}

/** An answer that was parsed and found right, without what differs from call to call. */
interface Form {
  /** What stands before the nonce and after the padding, cut where the id stands. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Checks the answers of one peer. */
export class AnswerCheck {
  readonly #forms: Form[] = [];

  /** `messages` are the bytes of each JSON-RPC message that came for this call, the answer last. */
  check(call: Call, messages: readonly Buffer[]): Verdict {
    const answer = messages.at(-1);
    if (answer === undefined) return { kind: 'error', why: 'an empty answer' };
    if (!this.#isKnown(call, answer)) {
      const verdict = checkParsed(call, answer);
      if (verdict.kind !== 'right') return verdict;
      const form = formOf(call, answer);
      if (form && this.#forms.length < MAX_FORMS) this.#forms.push(form);
    }
    return messages.length === 1 && call.progress === 0 ? RIGHT : checkProgress(call, messages.slice(0, -1));
  }

  #isKnown(call: Call, answer: Buffer): boolean {
    const id = JSON.stringify(call.id);
    if (isBetween(answer, call, echoAnswerHead(call.nonce, payloadOf(call)), echoAnswerTail(id))) return true;
    const echoed = echoedHead(call);
    return this.#forms.some(({ before, after }) => isBetween(answer, call, before.join(id) + echoed, after.join(id)));
  }
}

function payloadOf({ payload }: Call): number | undefined {
  return payload > 0 ? payload : undefined;
}

/** What the tool says before the padding: a payload that came whole is told by its length. */
function echoedHead(call: Call): string {
  return call.payload > 0 ? `${call.nonce}+${call.payload}:` : `${call.nonce}:`;
}

function isBetween(answer: Buffer, call: Call, head: string, tail: string): boolean {
  if (answer.length !== head.length + call.size + tail.length) return false;
  const padEnd = head.length + call.size;
  return (
    answer.toString('latin1', 0, head.length) === head &&
    answer.toString('latin1', padEnd) === tail &&
    (call.size === 0 || paddingBytes(call.size).compare(answer, head.length, padEnd) === 0)
  );
}

/** Nothing where it is not plain where the id or the nonce stand. */
function formOf(call: Call, answer: Buffer): Form | undefined {
  const text = answer.toString('latin1');
  const echoed = echoedHead(call) + padding(call.size);
  const parts = text.split(echoed);
  const [before, after] = parts;
  if (parts.length !== 2 || before === undefined || after === undefined) return undefined;
  const [cutBefore, cutAfter] = [cutAtId(before, call.id), cutAtId(after, call.id)];
  return cutBefore.length + cutAfter.length === 3 ? { before: cutBefore, after: cutAfter } : undefined;
}

function cutAtId(text: string, id: number | string): string[] {
  const member = `"id":${JSON.stringify(id)}`;
  const parts: string[] = [];
  let start = 0;
  for (let at = text.indexOf(member); at !== -1; at = text.indexOf(member, at + 1)) {
    const next = text[at + member.length];
    if (next !== ',' && next !== '}') continue;
    parts.push(text.slice(start, at + '"id":'.length));
    start = at + member.length;
  }
  return [...parts, text.slice(start)];
}

function checkParsed(call: Call, answer: Buffer): Verdict {
  const message = parse(answer);
  const fault = faultOf(call.id, message, answer);
  if (fault) return fault;
  if (message?.result?.content?.[0]?.text !== echoedHead(call) + padding(call.size)) {
    return wrong(`not the nonce ${call.nonce} and its padding`, answer);
  }
  return RIGHT;
}

/** What is wrong with a response to this id, whatever was asked. */
export function faultOf(id: number | string, message: Parsed | undefined, bytes: Buffer): Verdict | undefined {
  if (message === undefined) return wrong('no JSON', bytes);
  if (message.jsonrpc !== '2.0') return wrong('no JSON-RPC', bytes);
  // Strict: the number 7 is not the answer to the string "7".
  if (message.id !== id) return wrong(`not the id ${JSON.stringify(id)}`, bytes);
  return message.error === undefined ? undefined : { kind: 'error', why: shown(bytes) };
}

function checkProgress(call: Call, notifications: readonly Buffer[]): Verdict {
  const token = JSON.stringify(call.id);
  let last = 0;
  let own = 0;
  for (const bytes of notifications) {
    if (bytes.toString('latin1') === progressNotification(token, last + 1, call.progress)) {
      last += 1;
      own += 1;
      continue;
    }
    const message = parse(bytes);
    if (message?.method !== 'notifications/progress') return wrong('not a progress notification', bytes);
    if (message.params?.progressToken !== call.id) continue;
    const { progress } = message.params;
    if (typeof progress !== 'number' || progress <= last) return wrong(`progress not after ${last}`, bytes);
    last = progress;
    own += 1;
  }
  if (last > call.progress) return { kind: 'wrong', why: `progress ${last} of ${call.progress}` };
  return { kind: 'right', progressLost: call.progress - own, misrouted: notifications.length - own };
}

export function parse(bytes: Buffer): Parsed | undefined {
  try {
    const message: Parsed = JSON.parse(bytes.toString());
    return message;
  } catch {
    return undefined;
  }
}

export function wrong(why: string, bytes: Buffer): Verdict {
  return { kind: 'wrong', why: `${why}: ${shown(bytes)}` };
}

function shown(bytes: Buffer): string {
  return bytes.length <= SHOWN_CHARS ? bytes.toString() : `${bytes.toString('utf8', 0, SHOWN_CHARS)}…`;
}
