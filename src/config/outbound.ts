// Whose credentials go to a server: nobody's, ours, or those of callers. What a credential of ours is stands here and nowhere
// else.

import { isCredential, isCredentialValue } from './credentials.ts';

export type Outbound = 'none' | 'headers' | { readonly forward: readonly string[] };

interface Given {
  readonly outbound?: Outbound | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly urls: readonly URL[];
  readonly tls?: { readonly key?: unknown } | undefined;
}

/** With its default, and names in lower case. */
export function outboundOf(given: Given): Outbound {
  const { outbound } = given;
  if (typeof outbound !== 'object') return outbound ?? (hasOwn(given) ? 'headers' : 'none');
  return { forward: [...new Set(outbound.forward.map((name) => name.toLowerCase()))] };
}

/** Credentials of ours: any header may be one, and a certificate is one as soon as there is its key. */
export function hasOwn({ headers, urls, tls }: Given): boolean {
  return (
    Object.keys(headers).length > 0 || urls.some((url) => hasUser(url) || hasParameter(url)) || tls?.key !== undefined
  );
}

/**
 * Of those, what a server could take for a caller, whatever that caller sends of his own. A certificate says which gateway
 * it is, and a header with another name and value than a secret's says no more.
 */
export function hasIdentity({ headers, urls }: Given): boolean {
  const isOne = ([name, value]: [string, string]): boolean => isCredential(name) || isCredentialValue(value);
  return Object.entries(headers).some(isOne) || urls.some((url) => hasUser(url) || hasParameter(url));
}

/** The server is given what callers otherwise show to us, so it decides who may call: `inbound` cannot stand beside it. */
export function isDecidedBehind({ outbound }: Pick<Given, 'outbound'>): boolean {
  return typeof outbound === 'object' && outbound.forward.includes('authorization');
}

export function hasUser({ username, password }: URL): boolean {
  return username + password !== '';
}

function hasParameter({ searchParams }: URL): boolean {
  return [...searchParams.keys()].some(isCredential);
}
