// The one tool every bench calls: what a call asks and, byte for byte, what the upstream answers. Shared by the
// upstream and by the check of the answers, so that a right answer can be recognised without parsing it.

export interface EchoArguments {
  /** Comes back in the answer; no two calls of a run have the same. */
  readonly nonce: string;
  /** How many characters of padding follow the nonce. */
  readonly size: number;
  /** How many progress notifications come before the answer, if the call has a progress token. */
  readonly progress: number;
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

/** `idText` is JSON. The order of the members is that of the TypeScript SDK: the id comes last. */
export function echoAnswerHead(nonce: string): string {
  return `{"result":{"content":[{"type":"text","text":"${nonce}:`;
}

export function echoAnswerTail(idText: string): string {
  return `"}]},"jsonrpc":"2.0","id":${idText}}`;
}

export function progressNotification(tokenText: string, progress: number, total: number): string {
  return `{"method":"notifications/progress","params":{"progressToken":${tokenText},"progress":${progress},"total":${total}},"jsonrpc":"2.0"}`;
}
