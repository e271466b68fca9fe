// Whose credentials go to a server: nobody's, ours, or those of callers.

export type Outbound = 'none' | 'headers' | { readonly forward: readonly string[] };

interface Given {
  readonly outbound?: Outbound | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly urls: readonly URL[];
}

/** With its default, and names in lower case. */
export function outboundOf(given: Given): Outbound {
  const { outbound } = given;
  if (typeof outbound !== 'object') return outbound ?? (hasOwn(given) ? 'headers' : 'none');
  return { forward: [...new Set(outbound.forward.map((name) => name.toLowerCase()))] };
}

/** Credentials of ours. */
export function hasOwn({ headers, urls }: Given): boolean {
  return Object.keys(headers).length > 0 || urls.some(hasUser);
}

export function hasUser({ username, password }: URL): boolean {
  return username + password !== '';
}
