// Which framework a server of the old transport is made with, guessed from what its stream looks like: frameworks write the
// same event in ways of their own. test/fixtures/servers holds the bytes of each, and a test that all of them are told apart.

import type { EndpointForm } from './endpoint-form.ts';
import type { StreamSeen } from './seen.ts';

/** One thing that can be said of a stream. */
type Trait =
  | `session in ${'query' | 'path' | 'none'}`
  | `parameter ${string}`
  | `id ${string}`
  | `form ${EndpointForm['form']}`
  | `path ${string}`
  | `lines ${'lf' | 'crlf' | 'mixed'}`
  | `type ${string}`
  | `cache ${string}`
  | `encoding ${string}`
  | `cors ${string}`
  | `post ${number}`
  | `body ${'empty' | 'accepted' | 'answer' | 'json' | 'other'}`
  | `first member ${string}`
  | `revision ${string}`
  | 'no space'
  | 'event ids'
  | 'data first'
  | 'greets with a comment'
  | 'retry';

interface Row {
  readonly name: string;
  /** All of them, or it is not this one. */
  readonly needs: readonly Trait[];
  /** It is surer with them. */
  readonly shows: readonly Trait[];
  /** What an operator should know. */
  readonly quirks: readonly string[];
  /** Every stream gets the answers of all. */
  readonly broadcasts?: true;
}

const NO_KEEP_ALIVE = 'sends no keep-alive: a proxy between may cut streams that idle';
const WAITS = 'answers a POST only when the tool has finished: a proxy between must wait as long';

export const FRAMEWORKS = {
  'python-sdk': {
    name: 'Python SDK (FastMCP, sse-starlette)',
    needs: ['parameter session_id', 'lines crlf', 'body accepted'],
    shows: ['id hex', 'post 202', 'cache no-store', 'type text/event-stream; charset=utf-8'],
    quirks: [
      'a comment every 15 s',
      'takes a POST before it is handled; bad JSON is 400 and an error on the stream too',
    ],
  },
  fastapi_mcp: {
    name: 'fastapi_mcp',
    needs: ['parameter session_id', 'lines crlf', 'body json'],
    shows: ['id hex', 'post 202'],
    quirks: ['a comment every 15 s', 'errors of parsing have the id "unknown"'],
  },
  'typescript-sdk': {
    name: 'TypeScript SDK',
    needs: ['parameter sessionId', 'id uuid', 'lines lf', 'body accepted'],
    // Its first releases said no-cache alone.
    shows: ['post 202', 'form root-relative', 'cache no-cache, no-transform'],
    quirks: [
      NO_KEEP_ALIVE,
      'made with one server object for all, as many are, a second stream can take over or end the first: --second-connection tells',
    ],
  },
  supergateway: {
    name: 'supergateway, or another server on the TypeScript SDK with its path',
    needs: [
      'parameter sessionId',
      'id uuid',
      'lines lf',
      'body accepted',
      'cache no-cache, no-transform',
      'path /message',
    ],
    shows: ['post 202'],
    quirks: [
      NO_KEEP_ALIVE,
      'supergateway sends every answer to every stream: --second-connection tells',
      'supergateway answers 503 where others lose a session with 404',
    ],
  },
  n8n: {
    name: 'n8n MCP Server Trigger',
    needs: [
      'parameter sessionId',
      'id uuid',
      'lines lf',
      'body accepted',
      'cache no-cache, no-transform',
      'path /mcp/…/messages',
    ],
    shows: ['post 202'],
    quirks: [
      NO_KEEP_ALIVE,
      'its replicas do not know each other’s sessions',
      'compression in a proxy before it breaks it',
    ],
  },
  'mcp-go': {
    name: 'mcp-go',
    needs: ['parameter sessionId', 'id uuid', 'lines mixed', 'body empty'],
    shows: ['post 202', 'cors *'],
    quirks: ['pings its clients where keep-alive is on', 'drops answers without a word when its queue is full'],
  },
  'mcp-go-before-0.26': {
    name: 'mcp-go before 0.26 (May 2025)',
    needs: ['parameter sessionId', 'id uuid', 'lines mixed', 'body answer'],
    shows: ['post 202', 'cors *'],
    quirks: ['the answer stands in the body of the POST and on the stream; the first one counts', WAITS],
  },
  'thinkinai-go-mcp': {
    name: 'ThinkInAI go-mcp',
    needs: ['parameter sessionID'],
    shows: ['id uuid', 'lines lf', 'body empty', 'post 202'],
    quirks: [NO_KEEP_ALIVE],
  },
  'go-sdk': {
    name: 'Go SDK, SSEHandler',
    needs: ['parameter sessionid'],
    shows: ['id base32', 'lines lf', 'body empty', 'post 202'],
    quirks: ['answers a method that it does not know with HTTP 400 and nothing on the stream'],
  },
  'csharp-sdk': {
    name: 'C# SDK (ASP.NET Core)',
    needs: ['parameter sessionId', 'id base64url', 'first member result'],
    shows: ['encoding identity', 'body accepted', 'cache no-cache,no-store', 'form root-relative'],
    quirks: ['reads one message at a time: a POST waits for the one before', NO_KEEP_ALIVE],
  },
  'csharp-sdk-preview': {
    name: 'C# SDK, previews of March and April 2025',
    needs: ['parameter sessionId', 'id base64url', 'first member result', 'form relative'],
    shows: ['encoding identity', 'body accepted', 'cache no-cache,no-store'],
    quirks: ['its POST URL is relative to the stream’s: rewriting its path in a proxy breaks it', NO_KEEP_ALIVE],
  },
  'java-sdk': {
    name: 'Java SDK, servlet',
    needs: ['parameter sessionId', 'id uuid', 'lines lf', 'post 200', 'body empty'],
    shows: ['type text/event-stream;charset=utf-8', 'path /mcp/message', 'revision 2024-11-05'],
    quirks: [WAITS, 'its endpoint does not know a context path: messageUrl mends that'],
  },
  'spring-ai': {
    name: 'Spring AI, WebMVC',
    needs: ['parameter sessionId', 'id uuid', 'no space', 'event ids', 'post 200'],
    shows: ['path /mcp/message', 'revision 2024-11-05', 'body empty'],
    quirks: [WAITS, NO_KEEP_ALIVE, 'its endpoint does not know a context path: messageUrl mends that'],
  },
  quarkus: {
    name: 'Quarkus MCP server',
    needs: ['session in path', 'id base64', 'post 200'],
    shows: ['body empty', 'lines lf'],
    quirks: [WAITS],
  },
  'kotlin-sdk': {
    name: 'Kotlin SDK on Ktor',
    needs: ['parameter sessionId', 'lines crlf', 'data first'],
    shows: ['id uuid', 'form query', 'first member id', 'body accepted'],
    quirks: ['takes no other content type than exactly application/json', NO_KEEP_ALIVE],
  },
  'fast-mcp': {
    name: 'Ruby fast-mcp',
    needs: ['session in none', 'greets with a comment', 'retry'],
    shows: ['revision 2024-11-05', 'post 200', 'cors *'],
    quirks: ['has no sessions: every message goes to every stream, so one connection serves everybody'],
    broadcasts: true,
  },
  rmcp: {
    name: 'Rust SDK rmcp',
    needs: ['parameter sessionId', 'id uuid', 'lines lf', 'post 202', 'body empty', 'cache no-cache'],
    shows: ['path /message', 'form root-relative'],
    quirks: ['410 where the reader of a stream is gone; no release of the SDK has this transport since 2025-11'],
  },
} as const satisfies Readonly<Record<string, Row>>;

export type FrameworkId = keyof typeof FRAMEWORKS;

export interface Guess {
  readonly id: FrameworkId;
  readonly name: string;
  /** likely: everything is as it writes it. */
  readonly sure: 'likely' | 'possible';
  readonly because: readonly string[];
  readonly quirks: readonly string[];
  readonly broadcasts: boolean;
}

const MAX_GUESSES = 3;

/** The best first. None: nothing that is known looks like this. */
export function guessFramework(stream: StreamSeen, endpoint: EndpointForm): readonly Guess[] {
  const traits = traitsOf(stream, endpoint);
  const guesses = Object.entries<Row>(FRAMEWORKS).flatMap(([id, row]) => {
    if (!row.needs.every((trait) => traits.has(trait))) return [];
    const shown = row.shows.filter((trait) => traits.has(trait));
    // What more has to hold for is surer than what more could hold for.
    const weight = row.needs.length * 2 + shown.length - (row.shows.length - shown.length);
    const guess: Guess = {
      // The keys of the table.
      id: id as FrameworkId,
      name: row.name,
      sure: shown.length === row.shows.length ? 'likely' : 'possible',
      because: [...row.needs, ...shown],
      quirks: row.quirks,
      broadcasts: row.broadcasts === true,
    };
    return [{ guess, weight }];
  });
  return guesses
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, MAX_GUESSES)
    .map(({ guess }) => guess);
}

function traitsOf({ head, beginning, posts, introduction }: StreamSeen, endpoint: EndpointForm): ReadonlySet<Trait> {
  const { headers = {} } = head ?? {};
  const [first] = posts;
  const traits: Trait[] = [
    `session in ${endpoint.session}`,
    `parameter ${endpoint.parameter ?? ''}`,
    `id ${endpoint.idForm ?? ''}`,
    `form ${endpoint.form}`,
    `path ${endpoint.path.replace(/^\/mcp\/.+\/messages$/, '/mcp/…/messages')}`,
    `lines ${linesOf(beginning)}`,
    `type ${(headers['content-type'] ?? '').toLowerCase()}`,
    `cache ${headers['cache-control'] ?? ''}`,
    `encoding ${headers['content-encoding'] ?? ''}`,
    `cors ${headers['access-control-allow-origin'] ?? ''}`,
    `revision ${introduction?.revision ?? ''}`,
    `first member ${/^\s*\{\s*"(\w+)"/.exec(introduction?.answer ?? '')?.[1] ?? ''}`,
  ];
  if (first !== undefined) traits.push(`post ${first.status}`, `body ${bodyOf(first.body)}`);
  if (/^event:\S/m.test(beginning)) traits.push('no space');
  if (/^id:/m.test(beginning)) traits.push('event ids');
  if (/^data:[^\r\n]*\r?\nevent: ?endpoint/m.test(beginning)) traits.push('data first');
  if (beginning.startsWith(': SSE connection established')) traits.push('greets with a comment');
  if (/^retry: ?\d/m.test(beginning)) traits.push('retry');
  return new Set(traits);
}

/** Of the event that names the endpoint. */
function linesOf(beginning: string): 'lf' | 'crlf' | 'mixed' {
  const from = beginning.search(/^event: ?endpoint|^data:[^\r\n]*\r?\nevent: ?endpoint/m);
  const [event = ''] = /^.*?(?:\r\n\r\n|\n\r\n|\n\n|$)/s.exec(beginning.slice(Math.max(0, from))) ?? [];
  const crlf = event.split('\r\n').length - 1;
  const lf = event.split('\n').length - 1 - crlf;
  return crlf === 0 ? 'lf' : lf === 0 ? 'crlf' : 'mixed';
}

function bodyOf(body: string): 'empty' | 'accepted' | 'answer' | 'json' | 'other' {
  if (body.trim() === '') return 'empty';
  if (/^"?accepted"?$/i.test(body.trim())) return 'accepted';
  if (!/^\s*[{[]/.test(body)) return 'other';
  return body.includes('"jsonrpc"') ? 'answer' : 'json';
}
