// Headers and parameters that are secrets, as far as a name can tell.

/** By its name it is something that only its owner should know. */
export function isCredential(name: string): boolean {
  return /authorization|cookie|key|token|secret|password|credential/i.test(name);
}

/** Whether the text itself gives a value away that it can come to have: a default is a literal too. */
export function holdsLiteral(text: string): boolean {
  if (text.startsWith('@')) return false;
  const placeholders = text.replaceAll('$${', '').match(/\$\{[^}]*\}?/g) ?? [];
  return placeholders.length === 0 || placeholders.some((each) => /:-[^}]/.test(each));
}
