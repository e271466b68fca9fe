// What a server was sent, in what it says of itself: it can call itself whatever it likes, and its name is in the log.

import { HIDDEN } from '../config/redacted-url.ts';

/** Shorter ones are no secrets, and every text holds them. */
const MIN_SECRET = 4;

/** `urls`: as they are configured. `headers`: that went with its requests. */
export function withoutSent(
  text: string,
  { urls }: { readonly urls: readonly URL[] },
  headers: Readonly<Record<string, string>>,
): string {
  const ofUrls = urls.flatMap(({ username, password, searchParams }) => [
    ...[username, password].map(decodeURIComponent),
    ...searchParams.values(),
  ]);
  // The scheme of an Authorization is no secret, and what follows it is one alone, too.
  const ofHeaders = Object.values(headers).flatMap((value) => [value, ...value.split(/\s+/).slice(1)]);
  // Of one that begins another the longer one first.
  const secrets = [...ofUrls, ...ofHeaders].toSorted((left, right) => right.length - left.length);
  return secrets
    .filter(({ length }) => length >= MIN_SECRET)
    .flatMap((secret) => [secret, encodeURIComponent(secret), secret.toLowerCase()])
    .reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
}
