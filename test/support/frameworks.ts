// Servers of the old transport as data: test/fixtures/servers holds the bytes that each framework puts on the wire, one
// file per framework, with where they come from. framework-server.ts plays them.
//
// In a text of a fixture, words in angle brackets stand for what is known only later: <session>, <origin>, <endpoint>,
// <message>, <id>, <result>, <answer>, <method>.

import { readFileSync, readdirSync } from 'node:fs';

const FIXTURES = new URL('../fixtures/servers/', import.meta.url);

export interface Reply {
  readonly status: number;
  /** No others are sent, but for those of HTTP itself. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Framework {
  readonly name: string;
  /** Project, version and files. */
  readonly from: string;
  /** In words, for docs/compatibility.md. */
  readonly quirks: string;
  /** Of the stream. */
  readonly path: string;
  /** Of the answer to the GET. */
  readonly headers: Readonly<Record<string, string>>;
  readonly session: 'uuid' | 'hex' | 'base32' | 'base64url' | 'base64 of a uuid' | 'none';
  /** The value of the endpoint event. */
  readonly endpoint: string;
  /** The frames at the beginning of the stream, the endpoint event among them. */
  readonly opening: readonly string[];
  /** The frame of one message; its line is repeated for each line of the message. */
  readonly message: string;
  /** What it says when nobody asks. */
  readonly keepAlive: readonly string[];
  /** Errors it is known to send that answer no request. */
  readonly strays?: readonly string[];
  /** The answer to a request, with its members in the framework's order. */
  readonly answer: string;
  /** `all`: whatever one stream asked for goes to every stream. */
  readonly delivery?: 'all';
  /** What it always answers to initialize; without it, the revision that was asked for. */
  readonly revision?: string;
  /** `taken`: before the message is handled. `only`: the answer in the body is not on the stream too. */
  readonly post: Reply & { readonly when: 'taken' | 'handled'; readonly only?: true };
  /** To a POST of another type than application/json, with or without parameters. */
  readonly types?: Reply;
  /** To a request of a method it does not know; without it, error −32601. */
  readonly unknownMethod?: Reply;
  /** To a POST of a session that it does not know; null where it has none. */
  readonly lost: Reply | null;
}

export const FRAMEWORKS: readonly Framework[] = readdirSync(FIXTURES)
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(new URL(file, FIXTURES), 'utf8')) as Framework)
  .toSorted((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));

/** A text of a fixture with the words in angle brackets replaced. */
export function filled(text: string, words: Readonly<Record<string, string>>): string {
  return text.replaceAll(/<(\w+)>/g, (whole, word: string) => words[word] ?? whole);
}

/** What stands for the words of one stream. */
export function wordsOf({ endpoint }: Framework, session: string, origin: string): Readonly<Record<string, string>> {
  return { session, origin, endpoint: filled(endpoint, { session, origin }) };
}

/** The frame of a message: as many lines as the message has, each as the framework writes it. */
export function framed(
  { message: frame }: Framework,
  message: string,
  words: Readonly<Record<string, string>>,
): string {
  const [, field = '', end = ''] = /([^\r\n]*)<message>(\r?\n)/.exec(frame) ?? [];
  // The message last: it may hold whatever looks like a word of ours.
  return filled(frame, words).replace('<message>', () => message.replaceAll('\n', end + field));
}

export interface Framing {
  readonly name: string;
  readonly stream: string;
  readonly endpoint: string;
  readonly messages: readonly string[];
  /** Frames that tell nothing. */
  readonly comments: number;
}

/** A whole stream of each framework: its beginning, an answer, its keep-alive and its strays. */
export const FRAMINGS: readonly Framing[] = FRAMEWORKS.map((framework) => {
  const { name, opening, keepAlive, strays = [] } = framework;
  const words = wordsOf(framework, 'c0ffee', 'http://localhost:8080');
  const said = [filled(framework.answer, { id: '1', result: '{}' }), ...strays];
  const extra = [...opening, ...keepAlive].map((frame) => filled(frame, words));
  const dataOf = (frame: string): readonly string[] => frame.match(/(?<=^data: ?)\S.*$/gm) ?? [];
  return {
    name,
    stream: [...extra, ...said.map((message) => framed(framework, message, words))].join(''),
    endpoint: words['endpoint'] ?? '',
    messages: [...extra.flatMap(dataOf).filter((data) => data.includes('"jsonrpc"')), ...said],
    comments: extra.filter((frame) => dataOf(frame).length === 0).length,
  };
});
