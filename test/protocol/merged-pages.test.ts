import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ListMember, mergedPages } from '../../src/protocol/merged-pages.ts';
import { rawMember, rawObject, rawValue, space, stranger } from './raw-objects.ts';
import { readAs } from './read.ts';
import { type Tree, treeOf } from './two-readers.ts';

const answerOf = (result: string, id = '"\\u0031"'): string => `{"jsonrpc":"2.0", "result":${result} ,"id":${id}}`;

/** The result of the merged message. */
function merged(pages: readonly string[], member: ListMember = 'tools'): string {
  const results = pages.map((page, index) => readAs('result', answerOf(page, index === 0 ? undefined : `${index}`)));
  const text = Buffer.from(mergedPages(results, member)).toString();
  const [before = '', behind = ''] = answerOf('|').split('|');
  expect(text.startsWith(before)).toBe(true);
  expect(text.endsWith(behind)).toBe(true);
  return text.slice(before.length, text.length - behind.length);
}

describe('pages are one page', () => {
  test.each<[what: string, pages: readonly string[], one: string]>([
    ['one as it is', ['{ "tools" : [ {"a":1.0} , 2 ] ,"x":1}'], '{ "tools" : [ {"a":1.0} , 2 ] ,"x":1}'],
    ['without its cursor', ['{"tools":[1],"nextCursor":"a"}'], '{"tools":[1]}'],
    ['without a cursor given twice', ['{"nextCursor":1,"tools":[1],"next\\u0043ursor":"a"}'], '{"tools":[1]}'],
    ['two', ['{"tools":[1.0],"nextCursor":"a"}', '{"tools":[ {"b":2} , 3 ]}'], '{"tools":[1.0,{"b":2} , 3]}'],
    ['three', ['{"tools":[1]}', '{"tools":[2]}', '{"tools":[3]}'], '{"tools":[1,2,3]}'],
    ['an empty one first', ['{"tools":[ ]}', '{"tools":[2]}'], '{"tools":[ 2]}'],
    ['empty ones', ['{"tools":[]}', '{"tools":[\n]}', '{"tools":[]}'], '{"tools":[]}'],
    ['an empty one between', ['{"tools":[1]}', '{"tools":[ ]}', '{"tools":[3]}'], '{"tools":[1,3]}'],
    ['those that hold none', ['{"tools":[1]}', '{"tools":{}}', '{}', '[2]', 'null'], '{"tools":[1]}'],
    ['a first without a list', ['{}', '{"tools":[2]}'], '{"tools":[2]}'],
    ['a first without a list, with more', ['{"nextCursor":"a","x":1.0}', '{"tools":[2]}'], '{"tools":[2],"x":1.0}'],
    ['a first without a list, with a cursor', ['{"nextCursor":"a"}'], '{"tools":[]}'],
    ['a first with another thing for it', ['{"x":1,"tools":null}', '{"tools":[2]}'], '{"x":1,"tools":[2]}'],
    ['a first with two lists', ['{"tools":[1],"x":1,"tools":[2]}', '{"tools":[3]}'], '{"x":1,"tools":[2,3]}'],
    ['another with two lists', ['{"tools":[1]}', '{"tools":[2],"tools":[3]}'], '{"tools":[1,3]}'],
    ['what others say beside is lost', ['{"tools":[1],"x":1}', '{"x":2,"tools":[2],"y":3}'], '{"tools":[1,2],"x":1}'],
  ])('%s', (_what, pages, one) => {
    expect(merged(pages)).toBe(one);
  });

  test.each<ListMember>(['tools', 'prompts', 'resources', 'resourceTemplates'])('of %s', (member) => {
    const page = (name: string, element: number): string => `{"x":[0],"${name}":[${element}]}`;

    expect(merged([page(member, 1), page(member, 2), page('others', 3)], member)).toBe(`{"x":[0],"${member}":[1,2]}`);
  });
});

test('a first page that is no object stays what it is', () => {
  expect(merged(['[1]', '{"tools":[2]}'])).toBe('[1]');
});

test('without a page there is nothing to merge', () => {
  expect(() => mergedPages([], 'tools')).toThrow(RangeError);
});

test('every reader finds all elements in order, and the rest of the first page', () => {
  const list = fc
    .tuple(fc.array(rawValue, { maxLength: 3 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}${gap}]`);
  const known = rawMember(
    fc.constantFrom('tools', 'tools', 'nextCursor'),
    fc.oneof({ weight: 3, arbitrary: list }, rawValue),
  );
  const pages = fc.array(rawObject(fc.oneof(stranger, known)), { minLength: 1, maxLength: 4 });
  const property = fc.property(pages, (given) => {
    const text = merged(given.map((page) => page.text));

    const elements = given.flatMap((page) => {
      const tools = membersOf(treeOf(page.text, 'last')).get('tools');
      return Array.isArray(tools) ? tools : [];
    });
    expect(() => void JSON.parse(text)).not.toThrow();
    const [first] = given;
    const others = (first?.members ?? []).filter(({ name }) => name !== 'tools' && name !== 'nextCursor');
    const last = membersOf(treeOf(text, 'last'));
    expect(new Map(last).set('tools', [])).toEqual(
      new Map(others.map(({ name, value }): [string, Tree] => [name, treeOf(value, 'last')])).set('tools', []),
    );
    // One array, the same to both, but for what its elements hold twice.
    expect(last.get('tools')).toEqual(elements);
    expect(membersOf(treeOf(text, 'first')).get('tools')).toHaveLength(elements.length);
    for (const { text: own } of others) expect(text).toContain(own);
  });

  fc.assert(property, { numRuns: 1000 });
});

function membersOf(tree: Tree): ReadonlyMap<string, Tree> {
  if (!(tree instanceof Map)) throw new Error('not an object');
  return tree;
}
