// What was seen → which kind of server that is, whether it can be used, and the next step.

import { redactedUrl } from '../config/redacted-url.ts';
import { ERRORS } from '../domain/errors.ts';
import { endpointForm } from './endpoint-form.ts';
import { KINDS, type Kind, type KindRow, type Usable, again, isAddress, refusedPost } from './kinds.ts';
import type { Seen } from './seen.ts';

export interface Verdict {
  readonly kind: Kind;
  readonly usable: Usable;
  readonly says: string;
  readonly next: string;
}

export function verdictOf(seen: Seen): Verdict {
  const kind = kindOf(seen);
  const row: KindRow = KINDS[kind];
  const { stream, elsewhere } = seen;
  const [found] = elsewhere;
  const next =
    found === undefined || row.usable !== 'no'
      ? (row.next?.(seen) ?? ERRORS[stream.failure?.code ?? 'upstream_unavailable'].remedy)
      : found.is === 'http_sse'
        ? `its event stream is at ${redactedUrl(found.url)}: ${again(found.url)}`
        : `Streamable HTTP is spoken at ${redactedUrl(found.url)}: clients can use that as it is`;
  return { kind, usable: row.usable, says: row.says(seen), next };
}

const TRUST = /^(?:SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|CERT_SIGNATURE_FAILURE)/;
const NOT_HTTP = /^(?:HPE_|HTTPParserError|UND_ERR_SOCKET|ECONNRESET|EPIPE|UND_ERR_HEADERS_OVERFLOW)/;

function kindOf(seen: Seen): Kind {
  const { stream, streamable } = seen;
  if (stream.introduction !== null && stream.failure === null) return streamable?.speaks === true ? 'both' : 'http_sse';
  if (streamable?.speaks === true) return 'streamable_http';
  const refused = refusedPost(seen);
  if (refused !== null) return refused.status === 401 ? 'unauthorized' : 'forbidden';
  const { code, network } = stream.failure ?? { code: 'internal_error', network: null };
  const at = stream.head?.status ?? 0;
  switch (code) {
    case 'upstream_unreachable':
      if (network === 'ENOTFOUND' || network === 'EAI_AGAIN') return 'unresolved';
      return NOT_HTTP.test(network ?? '') && stream.timings.tcp !== null ? 'not_http' : 'unreachable';
    case 'upstream_connect_timeout':
      // Looked up all the time, without an answer.
      return stream.timings.dns === null && !isAddress(seen.url) ? 'unresolved' : 'connect_timeout';
    case 'upstream_tls':
      return TRUST.test(network ?? '') ? 'tls_untrusted' : 'tls_failed';
    case 'upstream_headers_timeout':
      return 'silent';
    case 'upstream_redirect':
      return 'redirect';
    case 'upstream_unauthorized':
      return at === 401 ? 'unauthorized' : 'forbidden';
    case 'upstream_not_found':
      return 'not_found';
    case 'upstream_not_legacy':
      return 'refuses_get';
    case 'upstream_bad_status':
      return at >= 500 ? 'server_error' : 'odd_status';
    case 'upstream_not_event_stream': {
      const { headers = {} } = stream.head ?? {};
      if (/event-stream/i.test(headers['content-type'] ?? '')) return 'compressed';
      return /html/i.test(headers['content-type'] ?? '') ? 'page' : 'document';
    }
    case 'endpoint_missing':
      return stream.bytes === 0 ? 'buffered' : 'no_endpoint';
    case 'endpoint_refused': {
      const { form } = endpointForm(stream.announced ?? '', seen.url);
      return form === 'other-origin' && /another origin/.test(stream.failure?.why ?? '')
        ? 'other_origin'
        : 'bad_endpoint';
    }
    case 'upstream_message_too_large':
      return 'endless';
    case 'upstream_version':
      return 'unknown_revision';
    case 'initialize_timeout':
      return 'initialize_unanswered';
    case 'initialize_failed':
      return openingFailed(seen);
    default:
      return 'failed';
  }
}

/** The same error has many causes: what was seen tells which, or its words, which a test of each kind holds to these. */
function openingFailed({ stream }: Seen): Kind {
  const why = stream.failure?.why ?? '';
  if (/without end/.test(why)) return 'endless';
  if (/answered initialize with an error|is no object/.test(why)) return 'initialize_refused';
  if (/event stream/.test(why)) return 'stream_ended';
  const { status: taken } = stream.posts[0] ?? {};
  return taken === undefined || taken >= 300 ? 'post_refused' : 'initialize_refused';
}
