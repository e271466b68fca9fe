// The Origin header: sent by browsers, for pages. [spec 2025-11-25 transports] "Servers MUST validate the Origin
// header on all incoming connections to prevent DNS rebinding attacks. If the Origin header is present and invalid,
// servers MUST respond with HTTP 403 Forbidden."

import { ProxyError } from '../domain/errors.ts';
import { isLoopback } from './host-guard.ts';

export interface OriginRules {
  /** Exact origins; null: pages of loopback names, any port. */
  readonly allowed: ReadonlySet<string> | null;
}

/** Without configuration: pages from loopback names on a loopback bind, none on another. */
export function originRules(listenHost: string, allowedOrigins: readonly string[] | undefined): OriginRules {
  if (allowedOrigins !== undefined) return { allowed: new Set(allowedOrigins.map((origin) => origin.toLowerCase())) };
  return { allowed: isLoopback(listenHost) ? null : new Set() };
}

/** Returns the reason to refuse, or null. `null` and the empty string count as foreign. */
export function checkOrigin(origin: string | undefined, rules: OriginRules): ProxyError | null {
  if (origin === undefined) return null;
  const isAllowed = rules.allowed === null ? isLoopbackPage(origin) : rules.allowed.has(origin.toLowerCase());
  return isAllowed ? null : new ProxyError('origin_refused', 'this Origin is not allowed (allowedOrigins)');
}

function isLoopbackPage(origin: string): boolean {
  return /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i.test(origin);
}
