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
