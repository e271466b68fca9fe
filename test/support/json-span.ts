// Where a value stands in the bytes of a JSON text, for tests of what must come through byte for byte.

/** The bytes of the value at a path of keys, as they are, in a text that is known to be JSON. */
export function spanOf(json: Buffer, path: readonly string[]): Buffer {
  const chars = json.toString('latin1'); // one char per byte
  let at = skipSpace(chars, 0);
  for (const key of path) at = memberOf(chars, at, key);
  return json.subarray(at, skipValue(chars, at));
}

function memberOf(chars: string, objectAt: number, key: string): number {
  let at = skipSpace(chars, objectAt + 1);
  while (chars[at] === '"') {
    const nameEnd = skipString(chars, at);
    const name: unknown = JSON.parse(Buffer.from(chars.slice(at, nameEnd), 'latin1').toString());
    const valueAt = skipSpace(chars, skipSpace(chars, nameEnd) + 1);
    if (name === key) return valueAt;
    at = skipSpace(chars, skipSpace(chars, skipValue(chars, valueAt)) + 1);
  }
  throw new Error(`there is no ${key} here`);
}

function skipSpace(chars: string, from: number): number {
  let at = from;
  while (' \t\r\n'.includes(chars[at] ?? '-')) at++;
  return at;
}

function skipValue(chars: string, from: number): number {
  let at = from;
  let depth = 0;
  do {
    const char = chars[at] ?? '';
    if (char === '') throw new Error('the JSON text ends too early');
    if (char === '"') at = skipString(chars, at);
    else if (depth === 0 && char !== '{' && char !== '[') return skipScalar(chars, at);
    else {
      if (char === '{' || char === '[') depth++;
      if (char === '}' || char === ']') depth--;
      at++;
    }
  } while (depth > 0);
  return at;
}

function skipScalar(chars: string, from: number): number {
  let at = from;
  while (!' \t\r\n,]}'.includes(chars[at] ?? ' ')) at++;
  return at;
}

function skipString(chars: string, from: number): number {
  let end = chars.indexOf('"', from + 1);
  while (isEscaped(chars, end)) end = chars.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(chars: string, at: number): boolean {
  let backslashes = 0;
  while (chars[at - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}
