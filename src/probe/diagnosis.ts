// Why an upstream cannot be used, in one sentence with the next step: what is at its URL if it is not what was expected.

import { redactedUrl } from '../config/redacted-url.ts';
import { ERRORS, type ErrorCode } from '../domain/errors.ts';

/** `url`: of the upstream. Credentials and queries are not in what is returned. */
export function diagnosis(reason: ErrorCode, url: URL): string {
  const at = redactedUrl(url);
  const elsewhere = otherPath(url);
  const probing = `mcp-causeway probe ${at === url.href ? at : 'URL'}`;
  const tryOther = elsewhere === null ? '' : `: try ${elsewhere}`;
  switch (reason) {
    case 'upstream_not_found':
      return elsewhere === null
        ? `nothing at ${url.pathname}: look up the path of the server’s event stream`
        : `nothing at ${url.pathname}; the SSE endpoint is often /sse${tryOther}`;
    case 'upstream_not_legacy':
      return `${at} takes no plain GET, as servers of Streamable HTTP do: then clients can use it without a gateway. If it also offers HTTP+SSE, that is often at /sse${tryOther}`;
    case 'upstream_not_event_stream':
      return elsewhere === null
        ? `${at} answers, but with a page or a document and not with an event stream: is another server at this port?`
        : `${at} answers, but not with an event stream; the SSE endpoint is often /sse${tryOther}`;
    case 'endpoint_missing':
      return `${at} is an event stream that never named its endpoint: it is no HTTP+SSE server of MCP, or speaks Streamable HTTP already, and then clients can use it without a gateway; ${probing} tells which`;
    case 'upstream_unauthorized':
      return `${at} wants a credential, or refuses this host: give it one with --header 'authorization=\${TOKEN}' or as headers of the upstream`;
    case 'upstream_redirect':
      return `${at} redirects, and redirects are not followed: use the URL that it redirects to, often the same with https or with a slash at its end`;
    case 'upstream_unreachable':
      return `nothing answers at ${url.host}: check that the server runs, that its name resolves, and that the port is right`;
    default:
      return OPENING.some((each) => each === reason)
        ? `${ERRORS[reason].remedy}; ${probing} says more`
        : ERRORS[reason].remedy;
  }
}

/** Of which more can be found out by looking. */
const OPENING: readonly ErrorCode[] = [
  'upstream_connect_timeout',
  'upstream_tls',
  'upstream_headers_timeout',
  'upstream_bad_status',
  'endpoint_refused',
  'initialize_timeout',
  'initialize_failed',
];

/** The usual path, where it is not the one that was tried. */
function otherPath(url: URL): string | null {
  if (/\/sse\/?$/.test(url.pathname)) return null;
  return new URL('/sse', url.origin).href;
}
