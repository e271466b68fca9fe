// What a call asks, and whether an answer is the one it asked for: the value and the type of its id, the nonce, the
// padding to the last byte, and before it every progress notification with its token, in order.
// The bytes the upstream is known to send are compared first; only an answer that differs (a peer may order members
// as it likes) is parsed.
import { echoAnswerHead, echoAnswerTail, padding, paddingBytes } from './echo-tool.ts';

export interface Call {
  readonly id: number | string;
  readonly nonce: string;
  readonly size: number;
  readonly progress: number;
}

export type Verdict =
  | { readonly kind: 'right'; readonly progressLost: number }
  /** The peer refused or failed the call and said so. */
  | { readonly kind: 'error'; readonly why: string }
  /** The peer gave something that is not the answer to this call. */
  | { readonly kind: 'wrong'; readonly why: string };

interface Parsed {
  readonly jsonrpc?: unknown;
  readonly id?: unknown;
  readonly method?: unknown;
  readonly error?: unknown;
  readonly params?: { readonly progressToken?: unknown; readonly progress?: unknown };
  readonly result?: { readonly content?: readonly { readonly text?: unknown }[] };
}

const RIGHT: Verdict = { kind: 'right', progressLost: 0 };
const SHOWN_CHARS = 160;

export function callBody(call: Call): string {
  const id = JSON.stringify(call.id);
  // The token is the id again: it collides across callers just as much, in value and in type.
  const meta = call.progress > 0 ? `,"_meta":{"progressToken":${id}}` : '';
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"nonce":"${call.nonce}","size":${call.size},"progress":${call.progress}}${meta}}}`;
}

/** `messages` are the bytes of each JSON-RPC message that came for this call, the answer last. */
export function check(call: Call, messages: readonly Buffer[]): Verdict {
  const answer = messages.at(-1);
  if (answer === undefined) return { kind: 'error', why: 'an empty answer' };
  if (!isExpected(call, answer)) {
    const verdict = checkParsed(call, answer);
    if (verdict.kind !== 'right') return verdict;
  }
  if (messages.length === 1 && call.progress === 0) return RIGHT;
  return checkProgress(call, messages.slice(0, -1));
}

function isExpected(call: Call, answer: Buffer): boolean {
  const head = echoAnswerHead(call.nonce);
  const tail = echoAnswerTail(JSON.stringify(call.id));
  if (answer.length !== head.length + call.size + tail.length) return false;
  const padEnd = head.length + call.size;
  return (
    answer.toString('latin1', 0, head.length) === head &&
    answer.toString('latin1', padEnd) === tail &&
    (call.size === 0 || paddingBytes(call.size).compare(answer, head.length, padEnd) === 0)
  );
}

function checkParsed(call: Call, answer: Buffer): Verdict {
  const message = parse(answer);
  if (message === undefined) return wrong('no JSON', answer);
  if (message.jsonrpc !== '2.0') return wrong('no JSON-RPC', answer);
  // Strict: the number 7 is not the answer to the string "7".
  if (message.id !== call.id) return wrong(`not the id ${JSON.stringify(call.id)}`, answer);
  if (message.error !== undefined) return { kind: 'error', why: shown(answer) };
  if (message.result?.content?.[0]?.text !== `${call.nonce}:${padding(call.size)}`) {
    return wrong(`not the nonce ${call.nonce} and its padding`, answer);
  }
  return RIGHT;
}

function checkProgress(call: Call, notifications: readonly Buffer[]): Verdict {
  let last = 0;
  for (const bytes of notifications) {
    const message = parse(bytes);
    if (message?.method !== 'notifications/progress') return wrong('not a progress notification', bytes);
    if (message.params?.progressToken !== call.id) return wrong(`not the token ${JSON.stringify(call.id)}`, bytes);
    const { progress } = message.params;
    if (typeof progress !== 'number' || progress <= last) return wrong(`progress not after ${last}`, bytes);
    last = progress;
  }
  if (last > call.progress) return { kind: 'wrong', why: `progress ${last} of ${call.progress}` };
  return { kind: 'right', progressLost: call.progress - notifications.length };
}

function parse(bytes: Buffer): Parsed | undefined {
  try {
    const message: Parsed = JSON.parse(bytes.toString());
    return message;
  } catch {
    return undefined;
  }
}

function wrong(why: string, bytes: Buffer): Verdict {
  return { kind: 'wrong', why: `${why}: ${shown(bytes)}` };
}

function shown(bytes: Buffer): string {
  return bytes.length <= SHOWN_CHARS ? bytes.toString() : `${bytes.toString('utf8', 0, SHOWN_CHARS)}…`;
}
