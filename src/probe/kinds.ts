// The kinds of server that a probe tells apart: one row each, with what it is in words, whether it can be used, and the next
// step.

import { redactedText, redactedUrl } from '../config/redacted-url.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { diagnosis } from './diagnosis.ts';
import { endpointForm } from './endpoint-form.ts';
import type { Seen } from './seen.ts';
import { quoted, shown } from './shown-text.ts';
import { usualPaths } from './usual-paths.ts';

/** bridge: with the gateway before it. native: by clients as it is. */
export type Usable = 'bridge' | 'native' | 'no';

export interface KindRow {
  readonly usable: Usable;
  /** What it is. */
  readonly says: (seen: Seen) => string;
  /** Null: the table of errors says it. */
  readonly next: ((seen: Seen) => string) | null;
}

const of = (text: string) => (): string => text;
const header = ({ stream }: Seen, name: string): string => shown(stream.head?.headers[name] ?? '');
const status = (seen: Seen): number => refusedPost(seen)?.status ?? seen.stream.head?.status ?? 0;
const challenge = (seen: Seen): string => {
  const refused = refusedPost(seen);
  return refused === null ? header(seen, 'www-authenticate') : shown(refused.challenge);
};
const serving = ({ url, isDialledWithMore }: Seen): string =>
  isDialledWithMore
    ? 'mcp-causeway URL, with the URL and the flags that were given here; --yaml makes a file of them'
    : `mcp-causeway ${quoted(redactedUrl(url))}`;
export const again = (url: URL): string => `mcp-causeway probe ${quoted(redactedUrl(url))}`;

/** What was looked at already is not said to be worth a try. */
const lookedUp =
  (code: ErrorCode) =>
  ({ url, wasCut }: Seen): string => {
    if (wasCut) return diagnosis(code, url);
    const tried = usualPaths(url).map((each) => each.url.pathname);
    return `look up the path of its event stream, and the port: there is none at ${tried.join(', ')} either`;
  };

const BUFFERS =
  'let the proxy between pass on each event at once: nginx: proxy_buffering off and no gzip; others: flush at once; try the URL of the server itself, past the proxy, to see whether it is that';

export const KINDS = {
  http_sse: {
    usable: 'bridge',
    says: of('an MCP server that speaks HTTP+SSE'),
    next: (seen) => `serve it: ${serving(seen)}`,
  },
  both: {
    usable: 'bridge',
    says: of('an MCP server that speaks HTTP+SSE, and Streamable HTTP too'),
    next: (seen) =>
      `clients of Streamable HTTP can use ${redactedUrl(seen.streamable?.url ?? seen.url)} as it is; for what it lacks serve this one: ${serving(seen)}`,
  },
  streamable_http: {
    usable: 'native',
    says: of('an MCP server that speaks Streamable HTTP'),
    next: ({ url, streamable }) =>
      `it needs no gateway: give clients ${redactedUrl(streamable?.url ?? url)} as the URL of an HTTP server`,
  },

  unresolved: {
    usable: 'no',
    says: ({ url }) => `nothing: the name ${url.hostname} does not resolve here`,
    next: ({ url }) =>
      `check the spelling of ${url.hostname}, and the DNS of the machine or container that this runs in`,
  },
  unreachable: {
    usable: 'no',
    says: ({ url, stream }) => `nothing that answers at ${url.host} (${stream.failure?.network ?? 'no reason given'})`,
    next: ({ url }) =>
      isLoopback(url)
        ? 'check that the server runs, and that the port is right; within a container this address is the container itself'
        : 'check that the server runs, that it listens on this address and not on loopback alone, and that the port is right',
  },
  connect_timeout: {
    usable: 'no',
    says: ({ url }) => `nothing that accepts a connection at ${url.host} in time`,
    next: of('check the address, and whether a firewall or network policy drops what is sent there'),
  },
  tls_failed: {
    usable: 'no',
    says: ({ stream }) => `a server that no TLS connection could be made to: ${stream.failure?.why ?? ''}`,
    next: ({ url, certificate }) =>
      certificate === null
        ? `if it speaks plain http, probe http://${url.host}${url.pathname}; if it wants a certificate of yours, give one with --tls-cert FILE --tls-key FILE`
        : 'renew the certificate, or use the name that it has (tls.serverName)',
  },
  tls_untrusted: {
    usable: 'no',
    says: ({ certificate }) =>
      `a server whose certificate comes from an authority that is not known here: ${shown(certificate?.issuer ?? '')}`,
    next: of('give the certificate of that authority: --tls-ca FILE here, tls.ca in the upstream of a file'),
  },
  silent: {
    usable: 'no',
    says: ({ url }) => `a socket at ${url.host} that takes a request and does not answer`,
    next: of(
      `see whether the server hangs, or waits for TLS (then its URL begins with https); a proxy that buffers looks so too: ${BUFFERS}`,
    ),
  },
  not_http: {
    usable: 'no',
    says: ({ stream }) =>
      `a server that does not answer in HTTP, or hangs up (${stream.failure?.network ?? 'no reason given'})`,
    next: ({ url }) =>
      `see which program has port ${portOf(url)}${url.protocol === 'http:' ? ', and whether it wants https' : ''}`,
  },
  redirect: {
    usable: 'no',
    says: (seen) => `a redirect (HTTP ${status(seen)}) to ${shownLocation(seen) ?? 'nowhere'}`,
    next: (seen) =>
      shownLocation(seen) === null
        ? 'redirects are not followed: find the URL that it redirects to'
        : `redirects are not followed: if that is your server, ${again(location(seen) ?? seen.url)}`,
  },
  unauthorized: {
    usable: 'no',
    says: (seen) => {
      const wants = challenge(seen);
      return `a server that wants a credential (HTTP ${status(seen)}${wants === '' ? '' : `, ${redactedText(wants)}`})`;
    },
    next: (seen) =>
      /resource_metadata/i.test(challenge(seen))
        ? `it wants OAuth tokens: give one with --header 'authorization=\${TOKEN}', and serve it with outbound: { forward: [authorization] }, so that each caller brings his own`
        : `give it one: --header 'authorization=\${TOKEN}' or --header 'x-api-key=\${KEY}', and as headers in the upstream of a file`,
  },
  forbidden: {
    usable: 'no',
    says: (seen) => `a server that refuses us (HTTP ${status(seen)})`,
    next: ({ url }) =>
      isLoopback(url) && url.hostname !== 'localhost'
        ? `give it a credential with --header, or call it by the name that it lets in: ${again(named(url))}`
        : 'give it a credential with --header; if it lets in some names or addresses only, add this one there',
  },
  not_found: {
    usable: 'no',
    says: (seen) => `a web server with nothing at ${seen.url.pathname} (HTTP ${status(seen)})`,
    next: lookedUp('upstream_not_found'),
  },
  page: {
    usable: 'no',
    says: of('a web page (HTML), and no event stream'),
    next: lookedUp('upstream_not_event_stream'),
  },
  document: {
    usable: 'no',
    says: (seen) => `a document (${header(seen, 'content-type') || 'without a type'}), and no event stream`,
    next: lookedUp('upstream_not_event_stream'),
  },
  refuses_get: {
    usable: 'no',
    says: (seen) => `a server that takes no GET here (HTTP ${status(seen)}), nor initialize as a POST`,
    next: lookedUp('upstream_not_legacy'),
  },
  server_error: {
    usable: 'no',
    says: (seen) => `a server that fails (HTTP ${status(seen)})`,
    next: (seen) =>
      [502, 503, 504].includes(status(seen))
        ? 'a proxy answers, and the server behind it does not: see whether that one runs, and the log of the proxy'
        : 'see its log',
  },
  odd_status: {
    usable: 'no',
    says: (seen) => `a server that answers with HTTP ${status(seen)}`,
    next: (seen) =>
      status(seen) === 429 ? 'it is asked too often: wait, and raise its limit for the gateway' : 'see its log',
  },
  compressed: {
    usable: 'no',
    says: (seen) =>
      `an event stream that is compressed (${header(seen, 'content-encoding')}) although that was not asked for`,
    next: of(
      'take compression off for this path, in the server or the proxy before it: compressed events are held back',
    ),
  },
  buffered: {
    usable: 'no',
    says: of('an event stream on which nothing comes, as from behind a proxy that buffers'),
    next: of(BUFFERS),
  },
  no_endpoint: {
    usable: 'no',
    says: of('an event stream, but not of MCP: it never names its endpoint'),
    next: of('look up the path of the server’s MCP endpoint: this stream belongs to something else'),
  },
  endless: {
    usable: 'no',
    says: ({ stream }) => `a stream without end: ${stream.failure?.why ?? ''}`,
    next: of('see what the server sends there: it is no event stream of MCP, or a broken one'),
  },
  stream_ended: {
    usable: 'no',
    says: of('an event stream that ends before anything can be asked'),
    next: of('see the log of the server, and whether a proxy between bounds how long an answer may take'),
  },
  other_origin: {
    usable: 'no',
    says: (seen) => `an HTTP+SSE server that sends messages elsewhere, to ${originOf(seen)}`,
    next: (seen) =>
      `if that origin is the server’s, set allowEndpointOrigins: ['${originOf(seen)}']; if it is an inner name of it, set messageUrl to the URL that is reached from here`,
  },
  bad_endpoint: {
    usable: 'no',
    says: ({ stream }) => `an HTTP+SSE server whose endpoint cannot be used: ${stream.failure?.why ?? ''}`,
    next: of('set messageUrl to the URL that messages are posted to'),
  },
  post_refused: {
    usable: 'no',
    says: ({ stream }) =>
      stream.posts[0] === undefined
        ? 'an HTTP+SSE server that hangs up when something is posted to its endpoint'
        : `an HTTP+SSE server that refuses what is posted to its endpoint (HTTP ${stream.posts[0].status})`,
    next: ({ stream: { posts } }) => {
      const { status: taken = 0 } = posts[0] ?? {};
      if (taken >= 300 && taken < 400) return 'redirects are not followed: set messageUrl to where it redirects to';
      return [400, 404, 410, 503].includes(taken)
        ? 'it does not know the session that it has just made: does a balancer send messages to another replica (bind sessions to one), or does a proxy change paths (set messageUrl)?'
        : 'see its log; a proxy between may let in GET alone, or want another credential for POST';
    },
  },
  initialize_refused: {
    usable: 'no',
    says: of('an HTTP+SSE server that refuses initialize'),
    next: of('see its log: it may not have come up, or want something that a client has to declare'),
  },
  initialize_unanswered: {
    usable: 'no',
    says: of('an HTTP+SSE server that takes initialize and does not answer'),
    next: of(
      `its answer went elsewhere or is held back: another client may have taken over its only connection (restart it), a balancer may have sent the message to another replica, or a proxy holds events back: ${BUFFERS}`,
    ),
  },
  unknown_revision: {
    usable: 'no',
    says: of('an HTTP+SSE server that insists on a revision of MCP which is not known here'),
    next: of('renew the server, or the gateway'),
  },
  failed: {
    usable: 'no',
    says: ({ stream }) => `a server that could not be used: ${stream.failure?.why ?? 'time was up'}`,
    next: null,
  },
} as const satisfies Readonly<Record<string, KindRow>>;

export type Kind = keyof typeof KINDS;

/**
 * Streamable HTTP that wants a credential: it takes no GET, or says what it wants. Any page may refuse a POST for reasons of
 * its own.
 */
export function refusedPost({
  stream,
  streamable,
}: Pick<Seen, 'stream' | 'streamable'>): { readonly status: 401 | 403; readonly challenge: string } | null {
  if (stream.introduction !== null || streamable?.speaks !== false) return null;
  const { status: answered, challenge: wants } = streamable;
  if (answered === 401 && wants !== '') return { status: answered, challenge: wants };
  if (stream.failure?.code !== 'upstream_not_legacy') return null;
  return answered === 401 || answered === 403 ? { status: answered, challenge: wants } : null;
}

function location(seen: Seen): URL | null {
  const to = seen.stream.head?.headers['location'] ?? '';
  if (to === '' || !URL.canParse(to, seen.url.href)) return null;
  const url = new URL(to, seen.url.href);
  return /^https?:$/.test(url.protocol) ? url : null;
}

function shownLocation(seen: Seen): string | null {
  const to = location(seen);
  return to === null ? null : shown(redactedUrl(to));
}

function originOf({ url, stream }: Seen): string {
  return shown(endpointForm(stream.announced ?? '', url).origin ?? 'another origin');
}

/** On this machine by its name. */
function named(url: URL): URL {
  const by = new URL(url.href);
  by.hostname = 'localhost';
  return by;
}

export function isAddress({ hostname }: URL): boolean {
  return /^[\d.]+$|^\[/.test(hostname);
}

function isLoopback({ hostname }: URL): boolean {
  return /^127\.|^\[::1\]$|^localhost$/.test(hostname);
}

function portOf({ protocol, port }: URL): string {
  return port === '' ? (protocol === 'https:' ? '443' : '80') : port;
}
