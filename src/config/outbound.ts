// Whose credentials go to a server: nobody's, ours, or those of callers. What a credential of ours is stands here and nowhere
// else.

import { isCredential } from './credentials.ts';

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

export function hasUser({ username, password }: URL): boolean {
  return username + password !== '';
}

function hasParameter({ searchParams }: URL): boolean {
  return [...searchParams.keys()].some(isCredential);
}
