// One URL of an upstream as it is dialled: without a user name, which has become a header, and with the rules for where its
// messages go.

import type { UpstreamConfig } from '../config/schema.ts';
import type { EndpointRules } from './endpoint-url.ts';

export interface UpstreamUrl {
  /** Its place among the URLs of its upstream. */
  readonly index: number;
  readonly endpoint: EndpointRules;
  /** Sent with every request there, credentials included. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Userinfo in the URL becomes Basic authentication, and is in the URL no more. */
export function upstreamUrl(configured: URL, index: number, upstream: UpstreamConfig): UpstreamUrl {
  const sseUrl = new URL(configured.href);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(upstream.headers)) headers[name.toLowerCase()] = value;
  if (sseUrl.username !== '' || sseUrl.password !== '') {
    const pair = `${decodeURIComponent(sseUrl.username)}:${decodeURIComponent(sseUrl.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
    sseUrl.username = '';
    sseUrl.password = '';
  }
  const allowedOrigins = new Set(upstream.allowEndpointOrigins.map(({ origin }) => origin));
  return { index, endpoint: { sseUrl, messageUrl: upstream.messageUrl, allowedOrigins }, headers };
}
