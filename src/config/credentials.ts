// Headers and parameters that are secrets, as far as a name can tell.

/** By its name it is something that only its owner should know. */
export function isCredential(name: string): boolean {
  return CREDENTIAL.test(name);
}

/** Words inside longer ones too, as in X-Auth-Token, but not in an author, a passenger or a design. */
const CREDENTIAL =
  /auth(?!or(?!i[sz]))|cookie|key|token|secret|credential|bearer|jwt|session|pass(?:$|[-_.\d]|w|phrase|code)|(?:^|[-_.])sig(?:$|[-_.\d]|nature)/i;

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
