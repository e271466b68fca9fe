// JSON texts as a peer may write them, which no serialiser would: numbers beyond 2^53, keys twice, lone surrogates,
// escapes where none is needed, white space anywhere.

import fc from 'fast-check';

const number = fc.oneof(
  fc.integer().map(String),
  fc.constantFrom(
    '-0',
    '1.0',
    '1e5',
    '1E+5',
    '-1.50e-07',
    '9007199254740993',
    '-123456789012345678901234567890',
    '1e400',
  ),
  fc.bigInt().map(String),
);

const inString = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }).map((raw) => Array.from(raw).filter(isRaw).join('')),
  fc.constantFrom(
    '\\ud800',
    '\\udc00\\ud800',
    '\\u0000',
    '\\u0041',
    '\\/',
    '/',
    '\\n',
    '\\r\\n',
    '\\\\',
    '\\"',
    '\\u2028',
  ),
  fc.constantFrom('\u2028', '\u{1F600}', '\uFEFF', 'é', '\u007f', 'data: x', ': x', '\uFFFD'),
);

/** As it may stand between quotes without an escape; a lone surrogate has no UTF-8. */
function isRaw(char: string): boolean {
  return char >= ' ' && char !== '"' && char !== '\\' && !/^[\ud800-\udfff]$/.test(char);
}

/** With its quotes. */
export const shortString: fc.Arbitrary<string> = fc
  .array(inString, { maxLength: 6 })
  .map((parts) => `"${parts.join('')}"`);

/** Now and then it is long. */
const anyString = fc.oneof(
  { weight: 400, arbitrary: shortString },
  { weight: 1, arbitrary: fc.integer({ min: 1000, max: 2 ** 20 }).map((length) => `"${'é\\n'.repeat(length / 4)}"`) },
);

const key = fc.oneof(
  shortString,
  fc.constantFrom(
    '"__proto__"',
    '"constructor"',
    '"id"',
    '"jsonrpc"',
    '"params"',
    '"_meta"',
    '"progressToken"',
    '""',
    '"a"',
    '"a"',
  ),
);

/** `space`: the white space that may stand between tokens. */
export function anyJson(space: string): fc.Arbitrary<string> {
  return trees(space).json;
}

export function anyObject(space: string): fc.Arbitrary<string> {
  return trees(space).object;
}

function trees(space: string): { json: fc.Arbitrary<string>; object: fc.Arbitrary<string> } {
  const gap = fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(...space.split('')), maxLength: 3 }) },
  );
  const { json, object } = fc.letrec<{ json: string; object: string; array: string }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(number, anyString, fc.constantFrom('true', 'false', 'null')),
      tie('object'),
      tie('array'),
    ),
    object: fc
      .array(fc.tuple(gap, key, gap, gap, tie('json'), gap), { maxLength: 5 })
      .map((members) => `{${members.map(([a, k, b, c, v, d]) => `${a}${k}${b}:${c}${v}${d}`).join(',')}}`),
    array: fc
      .array(fc.tuple(gap, tie('json'), gap), { maxLength: 5 })
      .map((items) => `[${items.map((item) => item.join('')).join(',')}]`),
  }));
  return { json, object };
}

/** Legal ids and tokens: integers and strings. */
export const ids: fc.Arbitrary<string> = fc.oneof(
  fc.bigInt().map(String),
  fc.constantFrom('0', '-0', '"0"', '1', '"1"', '-3', '9007199254740993'),
  fc.array(inString, { maxLength: 4 }).map((parts) => `"${parts.join('')}"`),
);
