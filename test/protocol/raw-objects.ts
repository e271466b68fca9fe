// Objects as texts whose members keep the spelling they were given: for tests of what must survive byte for byte.

import * as fc from 'fast-check';

export interface RawMember {
  readonly name: string;
  /** The key as it is written. */
  readonly key: string;
  readonly value: string;
  /** Key, colon and value. */
  readonly text: string;
}

export interface RawObject {
  readonly members: readonly RawMember[];
  readonly text: string;
}

export const space = fc.constantFrom('', '', ' ', '\n', '\t ');

/** Values that a parser would write in another way. */
export const rawValue: fc.Arbitrary<string> = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom(
    '1.0',
    '9007199254740993',
    '"\\u00e9\\/\\ud800"',
    '{ "__proto__" : {"a":1,"a":2.0} }',
    '[ ]',
    '"}, \\"tools\\":1"',
    '-0',
  ),
);

/** A member with one of these names, which may be written with an escape. */
export function rawMember(
  names: fc.Arbitrary<string>,
  value: fc.Arbitrary<string> = rawValue,
): fc.Arbitrary<RawMember> {
  return fc.tuple(names, fc.nat({ max: 9 }), space, space, value).map(([name, escape, before, behind, json]) => {
    const key = keyText(name, escape);
    return { name, key, value: json, text: `${key}${before}:${behind}${json}` };
  });
}

/** What a server may say beside what we know. */
export const stranger: fc.Arbitrary<RawMember> = rawMember(
  fc.oneof(fc.constantFrom('a', '', '__proto__', 'type', 'x"\\y', 'Tools'), fc.string({ maxLength: 3 })),
);

/** An object of these members, in any order, with any space. */
export function rawObject(member: fc.Arbitrary<RawMember>, maxLength = 5): fc.Arbitrary<RawObject> {
  return fc.tuple(fc.array(member, { maxLength }), space, space).map(([members, before, behind]) => ({
    members,
    text: `{${before}${members.map(({ text }) => text).join(`${behind},${before}`)}${behind}}`,
  }));
}

/** One of the spellings: the character at `escape` is escaped, if there is one. */
function keyText(name: string, escape: number): string {
  const chars = Array.from({ length: name.length }, (_, i) => name.charAt(i));
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const isHalf = (char: string): boolean => /[\ud800-\udfff]/.test(char);
  return `"${chars.map((char, i) => (i === escape || isHalf(char) ? escaped(char) : JSON.stringify(char).slice(1, -1))).join('')}"`;
}
