import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SERVED_REVISIONS } from '../../src/protocol/eras.ts';
import { knowsResourceLinks, withoutResourceLinks } from '../../src/protocol/older-content.ts';
import { splice } from '../../src/protocol/splice.ts';
import { readAs, textOfChunks } from './read.ts';

const LINK = '{"type":"resource_link","uri":"file:///a.rs","name":"a.rs"}';
const TEXT = '{"type":"text","text":"Resource: a.rs <file:///a.rs>"}';

const answerOf = (result: string): string => `{"jsonrpc":"2.0", "result":${result} ,"id":"\\u0031"}`;

/** The answer as a client of 2025-03-26 gets it. */
function after(text: string, method: string): string {
  const answer = readAs('result', text);
  return textOfChunks(splice(answer.bytes, withoutResourceLinks(answer, method)));
}

const inTool = (...blocks: readonly string[]): string => answerOf(`{"content":[${blocks.join(' ,')}],"isError":false}`);

test('resource links are known from 2025-06-18 on', () => {
  expect(SERVED_REVISIONS.filter(knowsResourceLinks)).toEqual(['2025-11-25', '2025-06-18']);
});

describe('a resource link becomes a text', () => {
  test.each<[what: string, members: string, text: string]>([
    ['its name and address', '"name":"a","uri":"x:a"', 'Resource: a <x:a>'],
    ['its title', '"title":"An A","name":"a","uri":"x:a"', 'Resource: An A (a) <x:a>'],
    ['a title that is its name once', '"uri":"x:a","name":"a","title":"a"', 'Resource: a <x:a>'],
    ['its media type', '"name":"a","uri":"x:a","mimeType":"text/x-rust"', 'Resource: a <x:a> text/x-rust'],
    ['its description', '"description":"The \\"A\\"","uri":"x:a","name":"a"', 'Resource: a <x:a>\nThe "A"'],
    ['characters of all kinds', '"name":"\\u00e9😀\\ud800","uri":"x:\\/"', 'Resource: é😀\ud800 <x:/>'],
    ['what there is of a broken one: no name', '"uri":"x:a"', 'Resource: <x:a>'],
    ['what there is of a broken one: no address', '"name":"a","uri":7', 'Resource: a'],
    ['what there is of a broken one: nothing', '"name":null', 'Resource:'],
  ])('that says %s', (_what, members, text) => {
    const [block] = blocksIn(after(inTool(`{${members},"type":"resource_link"}`), 'tools/call'));

    expect(block).toEqual({ type: 'text', text });
  });

  test.each([0, 1, 63, 64, 65, 1000])('behind a text with %i underscores', (count) => {
    const before = `{"type":"text","text":"resource${'_'.repeat(count)}"}`;

    expect(after(inTool(before, LINK), 'tools/call')).toBe(inTool(before, TEXT));
  });

  test('that keeps annotations and _meta byte for byte', () => {
    const annotations = '{ "priority":1.0,"audience" : ["us\\u0065r"] }';
    const meta = '{"a":1,"a":12345678901234567890}';
    const link = `{"_meta" : ${meta}, "type":"resource_link","size":3,"name":"a","annotations":${annotations},"uri":"x:a"}`;

    expect(after(inTool(link), 'tools/call')).toBe(
      inTool(`{"type":"text","text":"Resource: a <x:a>","annotations":${annotations},"_meta":${meta}}`),
    );
  });

  test('however little it says', () => {
    expect(after(inTool('{"type":"resource_link"}'), 'tools/call')).toBe(inTool('{"type":"text","text":"Resource:"}'));
  });

  test.each<[what: string, link: string]>([
    ['in its value', LINK.replace('_', '\\u005F')],
    ['in its key', LINK.replace('type', 't\\u0079pe')],
    ['in every letter', LINK.replace('resource_link', Array.from('resource_link', escaped).join(''))],
  ])('though its type is spelled with escapes %s', (_what, link) => {
    expect(after(inTool(link), 'tools/call')).toBe(inTool(TEXT));
  });
});

describe('links are found', () => {
  const role = (content: string): string => `{"role":"user","content":${content}}`;

  test.each<[where: string, method: string, result: (block: string) => string]>([
    ['in the content of a tool', 'tools/call', (block) => `{"content":[${block}]}`],
    ['behind other members', 'tools/call', (block) => `{"_meta":{"content":[]},"cont\\u0065nt" : [ ${block} ]}`],
    ['in a message of a prompt', 'prompts/get', (block) => `{"description":"","messages":[${role(block)}]}`],
    ['in each message', 'prompts/get', (block) => `{"messages":[${role(block)} , ${role('"x"')},${role(block)}]}`],
    ['in an array of a message', 'prompts/get', (block) => `{"messages":[${role(`[${block},1,${block}]`)}]}`],
  ])('%s', (_where, method, result) => {
    expect(after(answerOf(result(LINK)), method)).toBe(answerOf(result(TEXT)));
  });
});

describe('a message crosses as it is', () => {
  test.each<[what: string, method: string, result: string]>([
    ['without a link', 'tools/call', '{"content":[{"type":"text","text":"\\u00e9"}]}'],
    ['of another method', 'resources/read', `{"content":[${LINK}],"messages":[{"content":${LINK}}]}`],
    ['of a method named like a property', 'constructor', `{"content":[${LINK}]}`],
    ['of a tool, with the shape of a prompt', 'tools/call', `{"messages":[{"content":${LINK}}]}`],
    ['of a prompt, with the shape of a tool', 'prompts/get', `{"content":[${LINK}]}`],
    ['with the words in a text', 'tools/call', '{"content":[{"type":"text","text":"resource_link"}]}'],
    ['with a link in structured content', 'tools/call', `{"content":[],"structuredContent":{"content":[${LINK}]}}`],
    ['with a link in a link’s place only', 'tools/call', `{"content":${LINK}}`],
    ['with a link inside a block', 'tools/call', `{"content":[{"type":"resource","resource":${LINK}},[${LINK}]]}`],
    ['with a type in other letters', 'tools/call', '{"content":[{"type":"Resource_link"},{"type":["resource_link"]}]}'],
    ['with a block that reads in two ways', 'tools/call', '{"content":[{"type":"text","type":"resource_link"}]}'],
    ['that is no object', 'tools/call', `[${LINK}]`],
    ['that is a text', 'prompts/get', '"resource_link"'],
    ['with content of other kinds', 'tools/call', '{"content":null,"a":"resource_link"}'],
    ['with messages of other kinds', 'prompts/get', '{"messages":["resource_link",null,[],{"content":7}]}'],
  ])('%s', (_what, method, result) => {
    expect(after(answerOf(result), method)).toBe(answerOf(result));
  });
});

test('many links are no more pieces to write than one', () => {
  const text = inTool(...Array.from({ length: 10_000 }, () => LINK));

  expect(withoutResourceLinks(readAs('result', text), 'tools/call')).toHaveLength(1);
  expect(after(text, 'tools/call')).toBe(text.replaceAll(LINK, TEXT));
});

test('among any other blocks only the links change, whatever the text around them', () => {
  const space = fc.constantFrom('', ' ', '\n\t');
  const other = fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.string().map((text) => `{ "type":"text","text":${JSON.stringify(text)},"type2":"resource_link" }`),
    fc.constant('{"type":"audio","data":"","mimeType":"audio/wav"}'),
  );
  const link = fc.tuple(fc.string(), fc.webUrl(), space).map(([name, uri, gap]) => ({
    before: `{${gap}"uri" :${JSON.stringify(uri)},"type":${gap}"resource_link",${gap}"name":${JSON.stringify(name)}${gap}}`,
    after: JSON.stringify({ type: 'text', text: ['Resource:', name, `<${uri}>`].filter(Boolean).join(' ') }),
  }));
  const block = fc.oneof(
    link,
    other.map((json) => ({ before: json, after: json })),
  );
  const property = fc.property(fc.array(block, { maxLength: 6 }), space, other, (blocks, gap, extra) => {
    const answer = (items: readonly string[]): string =>
      answerOf(`{"extra":${extra},${gap}"content":${gap}[${gap}${items.join(`${gap},${gap}`)}${gap}]}`);

    expect(after(answer(blocks.map((each) => each.before)), 'tools/call')).toBe(
      answer(blocks.map((each) => each.after)),
    );
  });

  fc.assert(property, { numRuns: 2000 });
}, 60_000);

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function blocksIn(text: string): readonly unknown[] {
  const message = JSON.parse(text) as { result: { content: unknown[] } }; // inTool made it so
  return message.result.content;
}
