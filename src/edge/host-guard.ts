// The Host header: a page that rebinds its name to a loopback address still sends its own name, so a listener on
// loopback takes only loopback names unless told otherwise.

import { ProxyError } from '../domain/errors.ts';
import { valuesOf } from './raw-headers.ts';

export interface HostRules {
  /** Lower-case names without port; null: any. */
  readonly allowed: ReadonlySet<string> | null;
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** An address to listen on, in whichever of its spellings. */
export function isLoopback(host: string): boolean {
  const authority = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const text = `http://${authority}/`;
  const name = URL.canParse(text) ? new URL(text).hostname : host;
  return name === 'localhost' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$|^\[::ffff:7f[\da-f]{2}:/.test(name);
}

/** Without configuration: the loopback names on a loopback bind, any name on another. */
export function hostRules(listenHost: string, allowedHosts: readonly string[] | undefined): HostRules {
  if (allowedHosts !== undefined) return { allowed: new Set(allowedHosts.map((host) => host.toLowerCase())) };
  if (!isLoopback(listenHost)) return { allowed: null };
  return { allowed: new Set([...LOOPBACK_NAMES, listenHost.toLowerCase()]) };
}

/** `rawHeaders` and `target` as Node gives them. Returns the reason to refuse, or null. */
export function checkHost(rawHeaders: string[], target: string, rules: HostRules): ProxyError | null {
  const hosts = valuesOf(rawHeaders, 'host');
  // Node takes the first of two, something in front of us may take the second.
  const [host] = hosts;
  if (hosts.length !== 1 || host === undefined || host === '') {
    return new ProxyError('host_invalid', 'a request has exactly one Host header');
  }
  if (!target.startsWith('/') && target !== '*') {
    const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
    if (authority?.toLowerCase() !== host.toLowerCase()) {
      return new ProxyError('host_invalid', 'the request target names another host than the Host header');
    }
  }
  if (rules.allowed === null || rules.allowed.has(nameOf(host))) return null;
  return new ProxyError('host_refused', 'this Host is not allowed (allowedHosts)');
}

/** `localhost:8080` → `localhost`, `[::1]:8080` → `[::1]`. */
function nameOf(host: string): string {
  return (/^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host)?.[1] ?? host).toLowerCase();
}
