// The one list of what is a secret, as far as a name can tell: headers, parameters, keys of the configuration and fields of
// the log. What stands under such a name is shown to nobody.

import { HIDDEN, redactedUrlsIn } from './redacted-url.ts';

/** A step of a path: any of a list. */
const EACH = '[]';

/** By its name it is something that only its owner should know. */
export function isCredential(name: string): boolean {
  return CREDENTIAL.test(name);
}

/** Words inside longer ones too, as in X-Auth-Token, but not in an author, a passenger or a design. */
const CREDENTIAL =
  /auth(?!or(?!i[sz]))|cookie|key|token|secret|credential|bearer|jwt|session|pass(?:$|[-_.\d]|w|phrase|code)|(?:^|[-_.])sig(?:$|[-_.\d]|nature)/i;

/** What is in them is secret whatever it is called: the names are other people's, or say nothing. */
const SECTIONS = ['headers', 'secrets'];
/** Names of ours that sound like one: lists of names. */
const HARMLESS = ['keys', 'bearer'];
/** What is in it are names of files. */
const FILES = 'tls';

/** Where a text stands, from the outermost name in: whether it is shown to nobody. */
export function isSecretAt(path: readonly string[]): boolean {
  const own = path.findLast((step) => step !== EACH) ?? '';
  if (path.some((step) => SECTIONS.includes(step))) return true;
  if (HARMLESS.includes(own) || path.includes(FILES)) return false;
  return own === 'sha256' || isCredential(own);
}

/** As deep as facts are. */
const MAX_DEPTH = 5;

/** For the log: without what is secret by its name, and without what is secret in the URLs that stand in it. */
export function withoutSecrets(value: unknown, path: readonly string[] = []): unknown {
  if (typeof value === 'string') return isSecretAt(path) ? HIDDEN : redactedUrlsIn(value);
  if (typeof value !== 'object' || value === null) return value;
  if (path.length > MAX_DEPTH) return HIDDEN;
  if (Array.isArray(value)) return value.map((each) => withoutSecrets(each, [...path, EACH]));
  // Any object has members.
  const given = value as Readonly<Record<string, unknown>>;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of what knows how to write itself, as an error or a URL, nothing but its own members is written.
  let shown: Record<string, unknown> | null =
    prototype === Object.prototype || prototype === null ? null : { ...given };
  for (const name of Object.keys(given)) {
    const each = given[name];
    if (typeof each !== 'string' && typeof each !== 'object') continue;
    const isPlain = typeof each === 'string' && path.length === 0 && !isSecretField(name);
    const safe = isPlain ? redactedUrlsIn(each) : withoutSecrets(each, [...path, name]);
    if (safe === each) continue;
    // Most lines hold nothing of that kind, and stay what they are.
    shown ??= { ...given };
    shown[name] = safe;
  }
  return shown ?? value;
}

/** A name that stands at the top of a line of the log: most are the same few. */
function isSecretField(name: string): boolean {
  let verdict = verdicts.get(name);
  if (verdict === undefined) {
    verdict = isSecretAt([name]);
    if (verdicts.size < MAX_VERDICTS) verdicts.set(name, verdict);
  }
  return verdict;
}

const verdicts = new Map<string, boolean>();
const MAX_VERDICTS = 256;

/** Words, and perhaps a number: what somebody may have chosen as a name. A secret that was put in its place is seldom so. */
export function isName(text: string): boolean {
  return text.length <= 64 && text.split(/[-_.]+/).every((word) => /^[a-z]{0,24}\d{0,3}$/i.test(word));
}

/** By its value it is one, whatever its name. */
export function isCredentialValue(text: string): boolean {
  return /^\s*(?:bearer|basic)\s/i.test(text);
}

/** Whether the text itself gives a value away that it can come to have: a default is a literal too. */
export function holdsLiteral(text: string): boolean {
  if (text.startsWith('@')) return false;
  const placeholders = text.replaceAll('$${', '').match(/\$\{[^}]*\}?/g) ?? [];
  return placeholders.length === 0 || placeholders.some((each) => /:-[^}]/.test(each));
}

interface Wrong {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Two headers of one name: which of them is sent would be chance. */
export function alike(headers: Readonly<Record<string, string>>): Wrong[] {
  const seen = new Set<string>();
  return Object.keys(headers).flatMap((name) => {
    const isSeen = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    return isSeen ? [{ path: [name], message: 'is given twice, in upper and lower case: they are one header' }] : [];
  });
}

const OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** A digest that anybody's key has, or that says of one key that two callers have it. */
export function wrongDigests(keys: readonly { readonly name: string; readonly sha256: string }[]): Wrong[] {
  const holders = new Map<string, string>();
  return keys.flatMap(({ name, sha256 }, index) => {
    const path = [index, 'sha256'];
    const digest = sha256.toLowerCase();
    if (digest === OF_NOTHING) return [{ path, message: 'is the digest of an empty text: was the variable set?' }];
    const holder = holders.get(digest) ?? name;
    holders.set(digest, holder);
    return holder === name ? [] : [{ path, message: `is the key of ${holder} already: give each a key of its own` }];
  });
}
