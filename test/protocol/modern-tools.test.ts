import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modernTools } from '../../src/protocol/modern-tools.ts';
import { splice } from '../../src/protocol/splice.ts';
import { type RawObject, rawMember, rawObject, rawValue, space, stranger } from './raw-objects.ts';
import { readAs, textOfChunks } from './read.ts';
import { type Tree, treeOf } from './two-readers.ts';

const answerOf = (result: string): string => `{"jsonrpc":"2.0", "result":${result} ,"id":"\\u0031"}`;

/** The text of a whole answer as a modern client gets it. */
function after(text: string): string {
  const answer = readAs('result', text);
  return textOfChunks(splice(answer.bytes, modernTools(answer)));
}

const list = (...tools: readonly string[]): string => answerOf(`{"a":1.0,"tools":[${tools.join(',')}],"b":[{}]}`);

const TOOL = '{ "name":"t","inputSchema":{"type":"object"},"x":1.0 }';
const SCHEMA = '"inputSchema":{"type":"object"}';
const TASK_ONLY = `{${SCHEMA},"execution":{"taskSupport":"required"}}`;

describe('a tool is made modern', () => {
  test.each<[what: string, tool: string, modern: string]>([
    ['that is', TOOL, TOOL],
    ['with an execution', `{"execution":{},${SCHEMA}}`, `{${SCHEMA}}`],
    ['with an execution behind', `{${SCHEMA} , "execution":{"taskSupport":"optional"}}`, `{${SCHEMA} }`],
    ['with an execution of another kind', `{${SCHEMA},"execution":"required"}`, `{${SCHEMA}}`],
    ['with an execution in another spelling', `{${SCHEMA},"\\u0065xecution":null,"a":1}`, `{${SCHEMA},"a":1}`],
    ['with an execution given twice', `{"execution":1,${SCHEMA},"execution":2}`, `{${SCHEMA}}`],
    ['with a schema that is empty', '{"inputSchema":{}}', '{"inputSchema":{"type":"object"}}'],
    [
      'with a schema without a type',
      '{"inputSchema":{ "properties":{"type":{}}}}',
      '{"inputSchema":{"type":"object", "properties":{"type":{}}}}',
    ],
    [
      'with a schema of another type',
      '{"inputSchema":{"a":1,"type" : "string","b":2.0}}',
      '{"inputSchema":{"a":1,"type" : "object","b":2.0}}',
    ],
    ['with a schema of many types', '{"inputSchema":{"type":["object"]}}', '{"inputSchema":{"type":"object"}}'],
    ['with its type escaped', '{"inputSchema":{"type":"\\u006fbject"}}', '{"inputSchema":{"type":"\\u006fbject"}}'],
    [
      'with a type given twice',
      '{"inputSchema":{"type":"object","a":1,"type":"x"}}',
      '{"inputSchema":{"type":"object","a":1}}',
    ],
    ['with a schema given twice', `{"inputSchema":7,"a":1,${SCHEMA}}`, `{"a":1,${SCHEMA}}`],
    [
      'with all of that',
      '{"execution":{},"inputSchema":1,"execution":1,"inputSchema":{},"execution":{}}',
      '{"inputSchema":{"type":"object"}}',
    ],
    [
      'with words of a schema in other places',
      `{${SCHEMA},"outputSchema":{"type":"array"},"_meta":{"execution":{"taskSupport":"required"}}}`,
      `{${SCHEMA},"outputSchema":{"type":"array"},"_meta":{"execution":{"taskSupport":"required"}}}`,
    ],
  ])('%s', (_what, tool, modern) => {
    expect(after(list(tool))).toBe(list(modern));
    expect(after(list(TOOL, tool, TOOL))).toBe(list(TOOL, modern, TOOL));
  });
});

describe('a tool is left out', () => {
  test.each<[what: string, tool: string]>([
    ['that runs as a task only', TASK_ONLY],
    ['that runs as a task only, in another spelling', `{"execution":{"taskSupport":"r\\u0065quired"},${SCHEMA}}`],
    ['that says so to some readers', `{${SCHEMA},"execution":{"taskSupport":"required","taskSupport":"optional"}}`],
    ['that says so to other readers', `{"execution":{"taskSupport":"required"},"execution":{},${SCHEMA}}`],
    ['without a schema', '{"name":"a","description":"b"}'],
    ['with a schema of another kind', '{"name":"a","inputSchema":[{}]}'],
    ['with a schema that is true', '{"name":"a","inputSchema":true}'],
    ['with a schema given twice, the last one none', `{${SCHEMA},"inputSchema":null}`],
    ['that is none', 'null'],
    ['that is an array of tools', `[${TOOL}]`],
    ['with thousands of executions', `{${SCHEMA},${'"execution":1,"x":1,'.repeat(5000)}"y":1}`],
    ['with thousands of types', `{"inputSchema":{${'"type":1,"x":1,'.repeat(5000)}"y":1}}`],
  ])('%s', (_what, tool) => {
    expect(after(list(tool))).toBe(list());
    expect(after(list(tool, TOOL))).toBe(list(TOOL));
    expect(after(list(TOOL, tool))).toBe(list(TOOL));
    expect(after(list(TOOL, tool, tool, TOOL))).toBe(list(TOOL, TOOL));
    expect(after(list(tool, TOOL, tool, TOOL, tool))).toBe(list(TOOL, TOOL));
  });
});

describe('a result crosses as it is', () => {
  test.each([
    '{}',
    '[]',
    '"tools"',
    '{"tools":null}',
    '{"tools":{"execution":1}}',
    '{"tools":[]}',
    '{"tools":[ ]}',
    '{"prompts":[{"execution":1}],"a":{"tools":[{"execution":1}]}}',
  ])('%s', (result) => {
    expect(after(answerOf(result))).toBe(answerOf(result));
  });
});

test('a list that is given twice is modern to every reader', () => {
  expect(after(answerOf(`{"tools":[1,${TOOL}],"x":1,"t\\u006fols":[${TASK_ONLY}]}`))).toBe(
    answerOf(`{"tools":[${TOOL}],"x":1,"t\\u006fols":[]}`),
  );
});

test('what is not changed has its bytes, in the order of the upstream', () => {
  const execution = rawMember(
    fc.constant('execution'),
    fc.oneof(rawValue, fc.constantFrom('{"taskSupport":"required"}', '{"taskSupport":"optional"}', '{}')),
  );
  const type = rawMember(fc.constant('type'), fc.oneof(rawValue, fc.constantFrom('"object"', '"object"', '"string"')));
  const schema = rawObject(fc.oneof(stranger, type), 3).map(({ text }) => text);
  const input = rawMember(fc.constant('inputSchema'), fc.oneof({ weight: 4, arbitrary: schema }, rawValue));
  const tool = rawObject(fc.oneof(stranger, input, input, execution));
  const another = rawValue.map((text) => ({ text, members: [] }));
  const tools = fc.array(fc.oneof({ weight: 5, arbitrary: tool }, another), { maxLength: 6 });
  const property = fc.property(tools, space, (items, gap) => {
    const behind = `],"x":${gap}1.0} ,"id":"\\u0031"}`;
    const before = `{"jsonrpc":"2.0", "result":{"tools":${gap}[`;

    const text = after(`${before}${gap}${items.map((item) => item.text).join(`${gap},${gap}`)}${gap}${behind}`);
    expect(() => void JSON.parse(text)).not.toThrow();
    expect([text.startsWith(before), text.endsWith(behind)]).toEqual([true, true]);
    expect(toolsOf(treeOf(text, 'last'))).toEqual(items.flatMap(modern));
    // A first-wins reader finds neither an execution nor a schema that is not of an object.
    for (const each of toolsOf(treeOf(text, 'first'))) {
      const read = each instanceof Map ? each : new Map<string, Tree>();
      const inputSchema = read.get('inputSchema');
      expect(read.has('execution')).toBe(false);
      expect(inputSchema instanceof Map && inputSchema.get('type')).toBe('object');
    }
    const others = items
      .filter((item) => modern(item).length > 0)
      .flatMap(({ members }) => members.filter(({ name }) => name !== 'execution' && name !== 'inputSchema'));
    let at = 0;
    for (const { text: own } of others) {
      at = text.indexOf(own, at);
      expect(at).toBeGreaterThan(0);
      at += own.length;
    }
  });

  fc.assert(property, { numRuns: 1000 });
});

/** What a last-wins reader should find of a tool, if anything. */
function modern({ members, text }: RawObject): Tree[] {
  if (members.some(({ name, value }) => name === 'execution' && value === '{"taskSupport":"required"}')) return [];
  const tool = treeOf(text, 'last');
  const schema = tool instanceof Map ? tool.get('inputSchema') : undefined;
  if (!(tool instanceof Map) || !(schema instanceof Map)) return [];
  schema.set('type', 'object');
  tool.delete('execution');
  return [tool];
}

function toolsOf(answer: Tree): readonly Tree[] {
  const result = answer instanceof Map ? answer.get('result') : undefined;
  const tools = result instanceof Map ? result.get('tools') : undefined;
  if (!Array.isArray(tools)) throw new Error('no tools');
  return tools;
}

describe('a list of any size takes its time once', () => {
  const MANY = 100_000;

  test.each<[what: string, tool: string]>([
    ['as it is', TOOL],
    ['to change', '{"execution":{"taskSupport":"optional"},"inputSchema":{}}'],
    ['to leave out', TASK_ONLY],
    ['that are none', '{}'],
  ])('100,000 tools %s', (_what, tool) => {
    const answer = readAs('result', list(...Array.from({ length: MANY }, () => tool)));

    const edits = modernTools(answer);

    // Each piece would be written by itself.
    expect(edits.length).toBeLessThan(2);
    expect(() => void JSON.parse(textOfChunks(splice(answer.bytes, edits)))).not.toThrow();
  });
});
