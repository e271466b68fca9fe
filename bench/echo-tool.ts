// The tools every bench calls: what a call asks and, byte for byte, what the upstream answers. Shared by the upstream and
// by the check of the answers, so that a right answer can be recognised without parsing it.
//   echo  answers the nonce and padding, after as many progress notifications as wanted
//   ask   asks its caller a question (elicitation/create) and answers the nonce and the word it was told

export interface EchoArguments {
  /** Comes back in the answer; no two calls of a run have the same. */
  readonly nonce: string;
  /** How many characters of padding follow the nonce. */
  readonly size: number;
  /** How many progress notifications come before the answer, if the call has a progress token. */
  readonly progress: number;
  /** What makes a request large: `padding` of any length. The answer tells the length, if not a byte of it was changed. */
  readonly payload?: string;
}

const paddings = new Map<number, { readonly text: string; readonly bytes: Buffer }>();

/** ASCII: a character is a byte. */
export function padding(size: number): string {
  return paddingOf(size).text;
}

export function paddingBytes(size: number): Buffer {
  return paddingOf(size).bytes;
}

function paddingOf(size: number): { readonly text: string; readonly bytes: Buffer } {
  let known = paddings.get(size);
  if (known === undefined) {
    const text = 'the bridge costs five coins and nothing more. '.repeat(Math.ceil(size / 46)).slice(0, size);
    known = { text, bytes: Buffer.from(text) };
    paddings.set(size, known);
  }
  return known;
}

/**
 * `payload`: the length of the call's, as far as it had one; 'changed' is what no right answer tells. The order of the
 * members is that of the TypeScript SDK: the id comes last.
 */
export function echoAnswerHead(nonce: string, payload?: number | 'changed'): string {
  return `{"result":{"content":[{"type":"text","text":"${payload === undefined ? nonce : `${nonce}+${payload}`}:`;
}

/** `idText` is JSON. */
export function echoAnswerTail(idText: string): string {
  return `"}]},"jsonrpc":"2.0","id":${idText}}`;
}

export function progressNotification(tokenText: string, progress: number, total: number): string {
  return `{"method":"notifications/progress","params":{"progressToken":${tokenText},"progress":${progress},"total":${total}},"jsonrpc":"2.0"}`;
}

/** The question of the tool `ask`: its message is the nonce of the call, and it is answered by `{ word }`. */
export function question(id: number, nonce: string): string {
  return `{"method":"elicitation/create","params":{"message":"${nonce}","requestedSchema":{"type":"object","properties":{"word":{"type":"string"}},"required":["word"]}},"jsonrpc":"2.0","id":${id}}`;
}

/** The whole answer of the tool `ask`. `word` is ASCII without anything that JSON escapes. */
export function askAnswer(nonce: string, word: string, idText: string): string {
  return `${echoAnswerHead(nonce)}${word}${echoAnswerTail(idText)}`;
}
