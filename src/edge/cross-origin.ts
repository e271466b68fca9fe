// What a page of another origin may do and read: CORS, for the origins that the guard lets in and no others. No page gets
// `*`, and none is told that cookies would count: nothing here reads any. `Access-Control-Allow-Origin` is put on the raw
// response before anybody answers, so that refusals, streams and what is passed through carry it as well.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type OriginRules, checkOrigin } from './origin-guard.ts';

/** What clients of every revision send that a browser would not let them send unasked. */
const REQUEST_HEADERS = [
  'Accept',
  'Authorization',
  'Content-Type',
  'Last-Event-ID',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Protocol-Version',
  'Mcp-Session-Id',
];
/** [spec 2026-07-28 transports] The name of such a header is the tool's to choose. */
const PARAM_HEADER = /^mcp-param-[!#$%&'*+.^_`|~\w-]+$/i;
/** What of an answer's headers a page gets to see beside the few that all see. */
const EXPOSED = 'Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After';
/** Browsers keep what a preflight said for no longer than this, whatever they are told. */
const MAX_AGE_SECONDS = 7200;

export function showToPage(request: IncomingMessage, response: ServerResponse, pages: OriginRules): void {
  const { origin } = request.headers;
  // Only what a GET brings, or its headers, may be kept by a cache, and then for whoever asked.
  if (origin !== undefined || request.method === 'GET' || request.method === 'HEAD')
    response.setHeader('vary', 'Origin');
  if (origin === undefined || checkOrigin(origin, pages) !== null) return;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', EXPOSED);
}

/** A browser asks beforehand whether a page may send a request: without credentials, so they are not asked for. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** The headers of its answer, for a page that the guards have let in. `more`: in lower case, what some send beside that. */
export function preflightHeaders(
  headers: IncomingHttpHeaders,
  methods: string,
  more: readonly string[] = [],
): Record<string, string> {
  const asked = (headers['access-control-request-headers'] ?? '').split(',').map((name) => name.trim());
  const extra = more.filter((name) => !REQUEST_HEADERS.some((each) => each.toLowerCase() === name));
  const ofParams = asked.filter((name) => PARAM_HEADER.test(name));
  return {
    'access-control-allow-methods': methods,
    'access-control-allow-headers': [...REQUEST_HEADERS, ...extra, ...ofParams].join(', '),
    'access-control-max-age': String(MAX_AGE_SECONDS),
    // A page from the internet that asks for an address of this machine or network.
    ...(headers['access-control-request-private-network'] === 'true' && {
      'access-control-allow-private-network': 'true',
    }),
  };
}
