// Where messages are POSTed: the URL that the upstream announces, resolved and vetted. Nothing an upstream says makes
// us talk to another origin, unless the operator allowed that origin.

import { ProxyError } from '../domain/errors.ts';

export interface EndpointRules {
  /** The URL of the event stream. */
  readonly sseUrl: URL;
  /** Replaces scheme, host and path of what the upstream announces; the query stays the upstream's. */
  readonly messageUrl?: URL | undefined;
  /** Origins beside that of the event stream. */
  readonly allowedOrigins: ReadonlySet<string>;
}

const MAX_LENGTH = 8192;

/** Throws a ProxyError `endpoint_refused`; its message never repeats what the upstream said. */
export function endpointUrl(announced: string, rules: EndpointRules): URL {
  const refuse = (why: string): ProxyError => new ProxyError('endpoint_refused', `the announced POST URL ${why}`);
  if (announced.length > MAX_LENGTH) throw refuse(`is longer than ${MAX_LENGTH} characters`);
  // oxlint-disable-next-line no-control-regex -- control characters are just what this looks for
  if (/[\u0000-\u001f\u007f]/.test(announced)) throw refuse('holds control characters');

  // Without userinfo: a relative URL would inherit the event stream's.
  const base = new URL(rules.sseUrl.href);
  base.username = '';
  base.password = '';
  // [spec 2024-11-05 transports] the event carries "a URI for the client to use for sending messages". Resolved as a
  // browser would: `messages?x` is beside the event stream's path, not at the root.
  const url = URL.canParse(announced, base.href) ? new URL(announced, base.href) : null;
  if (url === null) throw refuse('is not a URL');
  // blob:http://host/ has the origin of http://host, so the scheme is looked at first.
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('is neither http nor https');
  if (url.username !== '' || url.password !== '') throw refuse('holds a user name or password');
  url.hash = '';
  if (rules.messageUrl !== undefined) {
    const fixed = new URL(rules.messageUrl.href);
    fixed.search = url.search;
    return fixed;
  }
  if (url.origin !== base.origin && !rules.allowedOrigins.has(url.origin)) throw refuse('is on another origin');
  return url;
}
