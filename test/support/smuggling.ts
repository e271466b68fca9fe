// Requests whose end can be read in two ways, made from tables, and what became of them: a call that the bytes are meant to
// be (`outer`), one that is hidden in them (`smuggled`), and one that follows on the same connection (`after`).

import { once } from 'node:events';
import { connect } from 'node:net';
import { JSON_HEADERS } from './gateway.ts';
import type { LegacyServer } from './legacy-server.ts';

export interface Payload {
  readonly name: string;
  /** Whether there is only one way to read it, and it is a call. */
  readonly isPlain: boolean;
  /** As latin1. `id`: of this attempt. */
  readonly bytes: (id: string) => string;
}

export interface Fate {
  /** Of the upstream's calls those of this attempt, in their order. */
  readonly calls: readonly string[];
  /** Which of them was answered by each response on the connection, in its order; a status where none was. */
  readonly answers: readonly string[];
  /** The connection came to its end. */
  readonly isClosed: boolean;
}

const GIVEN_UP_MS = 10_000;

const body = (marker: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: marker, method: 'tools/call', params: { name: 'echo', arguments: { marker } } });
const lines = (headers: Readonly<Record<string, string>>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
const COMMON = lines({ Host: 'localhost', ...JSON_HEADERS });
const post = (framing: string, content: string, line = 'POST /mcp HTTP/1.1'): string =>
  `${line}\r\n${COMMON}${framing}\r\n\r\n${content}`;
const hidden = (id: string): string => post(`Content-Length: ${body(`smuggled ${id}`).length}`, body(`smuggled ${id}`));
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const chunked = (text: string): string => `${chunk(text)}0\r\n\r\n`;

/** Spellings of Transfer-Encoding that somebody takes for `chunked`, and somebody else does not. */
const CODINGS = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: CHUNKED',
  'Transfer-Encoding:chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked ',
  'TRANSFER-ENCODING: chunked',
];
const DOUBTFUL_CODINGS = [
  'Transfer-Encoding: chunked\t',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: chunked; x',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: chunk',
  'Transfer-Encoding: chunk ed',
  'Transfer-Encoding: ',
  'Transfer-Encoding: \u000bchunked',
  'Transfer-Encoding: \u000cchunked',
  'Transfer-Encoding: \u0000chunked',
  'Transfer-Encoding: chunked\u0000',
  'Transfer-Encoding: \u00a0chunked',
  'Transfer-Encoding: \u0085chunked',
  'Transfer-Encoding: chunked\u00ff',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding\u0000: chunked',
  'Transfer-Encoding\u00a0: chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding:\r\n\tchunked',
  'Transfer-Encoding\r\n: chunked',
  'X-Fold: x\r\n Transfer-Encoding: chunked',
  'X-Line: x\nTransfer-Encoding: chunked',
  'X-Line: x\rTransfer-Encoding: chunked',
  'X-Line: x\r\rTransfer-Encoding: chunked',
  'X-Line: x\n\rTransfer-Encoding: chunked',
  ' Transfer-Encoding: chunked',
  '\tTransfer-Encoding: chunked',
];
/** Other headers, whatever they look like. */
const NO_CODINGS = [
  'Transfer_Encoding: chunked',
  'TransferEncoding: chunked',
  'Transfer-Encodin: chunked',
  'X-Transfer-Encoding: chunked',
  'Transfer-Encoding-: chunked',
  'TE: chunked',
  'Trailer: Transfer-Encoding',
  'Connection: Transfer-Encoding',
  'Connection: close, Content-Length',
  'Connection: Mcp-Session-Id, Content-Type, Host, Accept',
  'X-Transfer: Transfer-Encoding: chunked',
  'Content_Length: 5',
  'ContentLength: 5',
  'X-Content-Length: 5',
];

const codings = (): Payload[] => [
  ...[...CODINGS, ...DOUBTFUL_CODINGS].flatMap((coding): Payload[] => [
    {
      name: `a length that covers the next request, and ${coding}`,
      isPlain: false,
      bytes: (id) => post(`Content-Length: ${5 + hidden(id).length}\r\n${coding}`, `0\r\n\r\n${hidden(id)}`),
    },
    {
      name: `${coding}, and a length of less than a chunk`,
      isPlain: false,
      bytes: (id) => post(`${coding}\r\nContent-Length: 4`, `${chunked(body(`outer ${id}`))}${hidden(id)}`),
    },
  ]),
  ...CODINGS.map((coding): Payload => ({
    name: `${coding} alone`,
    isPlain: true,
    bytes: (id) => post(coding, chunked(body(`outer ${id}`))),
  })),
  ...DOUBTFUL_CODINGS.map((coding): Payload => ({
    name: `${coding} without a length`,
    isPlain: false,
    bytes: (id) => post(coding, chunked(body(`outer ${id}`))),
  })),
  ...NO_CODINGS.map((header): Payload => ({
    name: `a length, and ${header}`,
    isPlain: true,
    bytes: (id) => post(`Content-Length: ${body(`outer ${id}`).length}\r\n${header}`, body(`outer ${id}`)),
  })),
  {
    name: 'Transfer-Encoding: chunked in HTTP/1.0',
    isPlain: false,
    bytes: (id) =>
      post('Transfer-Encoding: chunked\r\nConnection: keep-alive', chunked(body(`outer ${id}`)), 'POST /mcp HTTP/1.0'),
  },
];

/** `n`: the length of the call that is meant; `all`: that of the hidden one too. */
const LENGTHS: readonly ((n: number, all: number) => string)[] = [
  (n, all) => `Content-Length: ${n}\r\nContent-Length: ${all}`,
  (n, all) => `Content-Length: ${all}\r\nContent-Length: ${n}`,
  (n) => `Content-Length: ${n}\r\nContent-Length: ${n}`,
  (n) => `Content-Length: ${n}\r\ncontent-length: ${n}`,
  (n) => `Content-Length: ${n}, ${n}`,
  (n, all) => `Content-Length: ${n},${all}`,
  (n) => `Content-Length: ${n};`,
  (n) => `Content-Length: +${n}`,
  (n) => `Content-Length: -${n}`,
  (n) => `Content-Length: 0x${n.toString(16)}`,
  (n) => `Content-Length: ${n}.0`,
  (n) => `Content-Length: ${n}e0`,
  (n) => `Content-Length: ${n} ${n}`,
  (n) => `Content-Length: ${n}\u0000`,
  (n) => `Content-Length: \u000b${n}`,
  (n) => `Content-Length: ${n}\u000c`,
  (n) => `Content-Length: \u00a0${n}`,
  (n) => `Content-Length: "${n}"`,
  (n) => `Content-Length: ${n}abc`,
  (n) => `Content-Length: ${String(n).split('').join('_')}`,
  () => 'Content-Length: ',
  () => 'Content-Length:',
  () => 'Content-Length: 18446744073709551616',
  () => 'Content-Length: 99999999999999999999999999',
  (n) => `Content-Length : ${n}`,
  (n) => `Content-Length\t: ${n}`,
  (n) => `Content-Length\u0000: ${n}`,
  (n) => `Content-Length:\r\n ${n}`,
  (n) => `Content-Length:\r\n\t${n}`,
  (n) => `X-Fold: x\r\n Content-Length: ${n}`,
  (n) => `X-Line: x\nContent-Length: ${n}`,
  (n) => `X-Line: x\rContent-Length: ${n}`,
  (n) => ` Content-Length: ${n}`,
  (n, all) => `Content-Length: ${n}\nContent-Length: ${all}`,
  (n, all) => `Content-Length: ${n}\r\n Content-Length: ${all}`,
  (n) => `Content-Length: ${n}\r\nno colon`,
  (n) => `Content-Length: ${n}\r\n: no name`,
  (n) => `Content-Length: ${n}\r\nX[]: x`,
  (n) => `Content-Length: ${n}\r\nX X: x`,
  (n) => `Content-Length: ${n}\r\nX-Nul: a\u0000b`,
  (n) => `Content-Length: ${n}\r\nHost: localhost`,
  (n) => `Content-Length: ${n}\r\nHost: evil.example`,
];
const PLAIN_LENGTHS: readonly ((n: number) => string)[] = [
  (n) => `Content-Length: ${n}`,
  (n) => `Content-Length:${n}`,
  (n) => `Content-Length:  \t${n} \t`,
  (n) => `content-length: 000${n}`,
  (n) => `Content-Length: ${n}\r\nExpect: 100-continue`,
  (n) => `Content-Length: ${n}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA`,
  (n) => `Content-Length: ${n}\r\nX-HTTP-Method-Override: PUT`,
];

const lengths = (): Payload[] => [
  ...LENGTHS.map((framing): Payload => ({
    name: framing(7, 77),
    isPlain: false,
    bytes: (id) => {
      const [meant, more] = [body(`outer ${id}`), hidden(id)];
      return post(framing(meant.length, meant.length + more.length), meant + more);
    },
  })),
  ...PLAIN_LENGTHS.map((framing): Payload => ({
    name: framing(7),
    isPlain: true,
    bytes: (id) => post(framing(body(`outer ${id}`).length), body(`outer ${id}`)),
  })),
];

/** The body of a request in chunks; `size`: of the call that is meant, in hexadecimal. */
const CHUNKS: readonly (readonly [name: string, text: (size: string, text: string, hidden: string) => string])[] = [
  ['an extension with a line end in quotes', (size, text, more) => `${size};a="\r\n${text}\r\n0\r\n\r\n${more}"\r\n`],
  ['an extension that ends in LF', (size, text, more) => `${size};a\n${text}\r\n0\r\n\r\n${more}`],
  ['an extension that holds CR', (size, text, more) => `${size};a\rb\r\n${text}\r\n0\r\n\r\n${more}`],
  ['an extension that holds NUL', (size, text, more) => `${size};a\u0000\r\n${text}\r\n0\r\n\r\n${more}`],
  ['an extension of 20 KB', (size, text, more) => `${size};${'a'.repeat(20_000)}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['LF after a size', (size, text, more) => `${size}\n${text}\r\n0\r\n\r\n${more}`],
  ['CR after a size', (size, text, more) => `${size}\r${text}\r\n0\r\n\r\n${more}`],
  ['LF after a chunk', (size, text, more) => `${size}\r\n${text}\n0\r\n\r\n${more}`],
  ['nothing after a chunk', (size, text, more) => `${size}\r\n${text}0\r\n\r\n${more}`],
  ['two bytes after a chunk', (size, text, more) => `${size}\r\n${text}xx0\r\n\r\n${more}`],
  ['LF everywhere', (size, text, more) => `${size}\n${text}\n0\n\n${more}`],
  ['LF after the last chunk', (size, text, more) => `${size}\r\n${text}\r\n0\n\n${more}`],
  ['CR CR at the end', (size, text, more) => `${size}\r\n${text}\r\n0\r\r${more}`],
  ['0x before a size', (size, text, more) => `0x${size}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['+ before a size', (size, text, more) => `+${size}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['- before a size', (size, text, more) => `-${size}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a blank before a size', (size, text, more) => ` ${size}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a blank after a size', (size, text, more) => `${size} \r\n${text}\r\n0\r\n\r\n${more}`],
  ['a blank and letters after a size', (size, text, more) => `${size} x\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size with _', (size, text, more) => `${size.split('').join('_')}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size with a dot', (size, text, more) => `${size}.0\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size that is no number', (_, text, more) => `xyz\r\n${text}\r\n0\r\n\r\n${more}`],
  ['no size', (_, text, more) => `\r\n${text}\r\n0\r\n\r\n${more}`],
  [
    'a size over 64 bits',
    (size, text, more) => `1${'0'.repeat(16 - size.length)}${size}\r\n${text}\r\n0\r\n\r\n${more}`,
  ],
  ['a size over 64 bits by far', (size, text, more) => `${'f'.repeat(40)}${size}\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size of 64 bits', (_, text, more) => `ffffffffffffffff\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size of 63 bits', (_, text, more) => `7fffffffffffffff\r\n${text}\r\n0\r\n\r\n${more}`],
  ['a size over limits.bodyBytes', (_, text, more) => `ffffffff\r\n${text}\r\n0\r\n\r\n${more}`],
  [
    'a size that is too large by one',
    (size, text, more) => `${(parseInt(size, 16) + 1).toString(16)}\r\n${text}\r\n0\r\n\r\n${more}`,
  ],
  [
    'a size that is too small by one',
    (size, text, more) => `${(parseInt(size, 16) - 1).toString(16)}\r\n${text}\r\n0\r\n\r\n${more}`,
  ],
  ['a last chunk of -0', (size, text, more) => `${size}\r\n${text}\r\n-0\r\n\r\n${more}`],
  ['a last chunk of 0x0', (size, text, more) => `${size}\r\n${text}\r\n0x0\r\n\r\n${more}`],
  ['a trailer without a colon', (size, text, more) => `${size}\r\n${text}\r\n0\r\nabc\r\n\r\n${more}`],
  ['a folded trailer', (size, text, more) => `${size}\r\n${text}\r\n0\r\nX: a\r\n b\r\n\r\n${more}`],
  ['a trailer with LF', (size, text, more) => `${size}\r\n${text}\r\n0\r\nX: a\n\r\n${more}`],
  [
    'a trailer of Transfer-Encoding',
    (size, text, more) => `${size}\r\n${text}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n${chunked(more)}`,
  ],
  [
    'a trailer of Content-Length',
    (size, text, more) => `${size}\r\n${text}\r\n0\r\nContent-Length: ${more.length}\r\n\r\n${more}`,
  ],
  ['a trailer of 20 KB', (size, text, more) => `${size}\r\n${text}\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n${more}`],
];
const PLAIN_CHUNKS: readonly (readonly [name: string, text: (size: string, text: string) => string])[] = [
  ['extensions', (size, text) => `${size};a=b;c\r\n${text}\r\n0;d=e\r\n\r\n`],
  ['20 KB of extensions', (size, text) => `${size}${';a=b'.repeat(5000)}\r\n${text}\r\n0\r\n\r\n`],
  ['a quoted extension', (size, text) => `${size};a="b c"\r\n${text}\r\n0\r\n\r\n`],
  ['a size with zeros before it', (size, text) => `00000${size}\r\n${text}\r\n0\r\n\r\n`],
  ['a size in capitals', (_, text) => `A\r\n${text.slice(0, 10)}\r\n${chunked(text.slice(10))}`],
  ['a last chunk of many zeros', (size, text) => `${size}\r\n${text}\r\n0000\r\n\r\n`],
  ['one byte each', (_, text) => `${text.split('').map(chunk).join('')}0\r\n\r\n`],
  ['a trailer', (size, text) => `${size}\r\n${text}\r\n0\r\nX-Late: 1\r\n\r\n`],
  ['a trailer of Mcp-Session-Id', (size, text) => `${size}\r\n${text}\r\n0\r\nMcp-Session-Id: x\r\n\r\n`],
  ['a trailer of Host', (size, text) => `${size}\r\n${text}\r\n0\r\nHost: evil.example\r\n\r\n`],
  ['a trailer of Authorization', (size, text) => `${size}\r\n${text}\r\n0\r\nAuthorization: Bearer x\r\n\r\n`],
];

const chunks = (): Payload[] =>
  [
    ...CHUNKS.map(([name, text]) => ({ name, text, isPlain: false })),
    ...PLAIN_CHUNKS.map(([name, text]) => ({ name, text, isPlain: true })),
  ].map(({ name, text, isPlain }): Payload => ({
    name: `chunks: ${name}`,
    isPlain,
    bytes: (id) => {
      const meant = body(`outer ${id}`);
      return post('Transfer-Encoding: chunked', text(meant.length.toString(16), meant, hidden(id)));
    },
  }));

const LINES: readonly (readonly [line: string, isPlain: boolean])[] = [
  ['POST http://localhost/mcp HTTP/1.1', true],
  ['POST HTTP://LOCALHOST/mcp HTTP/1.1', true],
  ['\r\n\r\nPOST /mcp HTTP/1.1', true],
  ['POST http://evil.example/mcp HTTP/1.1', false],
  ['POST http://x@localhost/mcp HTTP/1.1', false],
  ['POST http://localhost:1/mcp HTTP/1.1', false],
  ['POST http:/mcp HTTP/1.1', false],
  ['POST http:///mcp HTTP/1.1', false],
  ['POST //localhost/mcp HTTP/1.1', false],
  ['POST localhost/mcp HTTP/1.1', false],
  ['POST localhost:80 HTTP/1.1', false],
  ['POST * HTTP/1.1', false],
  ['POST /mcp', false],
  ['POST /mcp HTTP/0.9', false],
  ['POST /mcp HTTP/1.2', false],
  ['POST /mcp HTTP/2.0', false],
  ['POST /mcp HTTP/1.1 ', false],
  ['POST /mcp HTTP/1.1\r', false],
  ['POST  /mcp HTTP/1.1', false],
  ['POST\t/mcp\tHTTP/1.1', false],
  ['POST /mcp HTTP/1.1\n', false],
  [' POST /mcp HTTP/1.1', false],
  ['post /mcp HTTP/1.1', false],
  ['POST /mcp http/1.1', false],
  ['POST /mcp HTTP/1,1', false],
  ['POST /mcp\u0000 HTTP/1.1', false],
  ['POST /mcp /x HTTP/1.1', false],
  ['POST /mcp HTTP/1.1 HTTP/1.1', false],
  ['POST /mcp\rHTTP/1.1', false],
  ['POSTPOST /mcp HTTP/1.1', false],
  ['GET /mcp HTTP/1.1', false],
  ['HEAD /mcp HTTP/1.1', false],
  ['DELETE /mcp HTTP/1.1', false],
  ['OPTIONS /mcp HTTP/1.1', false],
  ['TRACE /mcp HTTP/1.1', false],
  ['CONNECT /mcp HTTP/1.1', false],
  ['PRI * HTTP/2.0', false],
  ['QUERY /mcp HTTP/1.1', false],
];

/** A body that a method has no use for is still a body, and no next request. */
const requestLines = (): Payload[] =>
  LINES.map(([line, isPlain]) => ({
    name: line,
    isPlain,
    bytes: (id) => {
      const content = isPlain ? body(`outer ${id}`) : hidden(id);
      return post(`Content-Length: ${content.length}`, content, line);
    },
  }));

export const PAYLOADS: readonly Payload[] = [...codings(), ...lengths(), ...chunks(), ...requestLines()];

/** What becomes of a payload and of the request that follows it. */
export async function fateOf(origin: string, upstream: LegacyServer, payload: Payload, id: string): Promise<Fate> {
  const after = body(`after ${id}`);
  const socket = connect(Number(new URL(origin).port), '127.0.0.1').setEncoding('latin1');
  let said = '';
  socket.on('data', (piece: string) => (said += piece));
  socket.on('error', () => {});
  socket.write(payload.bytes(id) + post(`Connection: close\r\nContent-Length: ${after.length}`, after), 'latin1');
  const isClosed = await once(socket, 'close', { signal: AbortSignal.timeout(GIVEN_UP_MS) }).then(
    () => true,
    () => false,
  );
  socket.destroy();
  const markers = upstream.received.flatMap(({ message }) => {
    const { marker } = (message.params?.['arguments'] ?? {}) as { readonly marker?: unknown };
    return typeof marker === 'string' && marker.endsWith(` ${id}`) ? [marker.slice(0, -id.length - 1)] : [];
  });
  return { calls: markers, answers: answersIn(said, id), isClosed };
}

function answersIn(said: string, id: string): string[] {
  return said
    .split(/(?=HTTP\/1\.[01] \d{3} )/)
    .filter((each) => each.startsWith('HTTP/1') && !each.startsWith('HTTP/1.1 100'))
    .map((each) => new RegExp(`"id":"(\\w+) ${id}"`).exec(each)?.[1] ?? each.slice(9, 12));
}

/** Why this must not be; null where it may. `asked`: what somebody may have asked for, in its order. */
export function faultIn(
  { calls, answers, isClosed }: Fate,
  asked: readonly string[] = ['outer', 'after'],
): string | null {
  if (!isClosed) return 'the connection is still open';
  if (calls.some((each) => !asked.includes(each))) return 'what was hidden was called';
  if (new Set(calls).size < calls.length) return 'one request was called twice';
  // Each answer to its own request, in their order, and what was called was answered.
  const answered = answers.filter((each) => !/^\d+$/.test(each));
  if (answered.join() !== asked.filter((each) => answered.includes(each)).join()) return 'answers are out of order';
  if (calls.some((each) => !answered.includes(each))) return 'what was called was not answered';
  if (answers.length > asked.length) return 'there are more answers than requests';
  return null;
}
