import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Span } from '../../src/protocol/json-scanner.ts';
import type { HeaderValues } from '../../src/protocol/modern-headers.ts';
import {
  type ParamHeader,
  paramHeaderFault,
  paramHeadersOf,
  withoutParamHeaders,
} from '../../src/protocol/param-headers.ts';
import { splice } from '../../src/protocol/splice.ts';
import { read, textOfChunks } from './read.ts';

/** Longer than what the scanner reads byte by byte, so that spans are not at the start of their memory. */
const BEFORE = `{"jsonrpc":"2.0","id":1,"result":{"a":"é${' '.repeat(600)}","tools":[`;
const BEHIND = ` ,{"x-mcp-header":"Other"}]}}`;

/** A tool among others in a message, as it arrives. */
function placed(tool: string): { bytes: Uint8Array; span: Span } {
  const bytes = Buffer.from(BEFORE + tool + BEHIND);
  if (read(bytes).kind !== 'result') throw new Error(`no message: ${tool}`);
  const start = Buffer.byteLength(BEFORE);
  return { bytes, span: { start, end: start + Buffer.byteLength(tool) } };
}

function paramsOf(tool: string): readonly ParamHeader[] | 'invalid' {
  const { bytes, span } = placed(tool);
  return paramHeadersOf(bytes, span);
}

/** The tool without its annotations; whatever stands around it must be as it was. */
function stripped(tool: string): string {
  const { bytes, span } = placed(tool);
  const whole = textOfChunks(splice(bytes, withoutParamHeaders(bytes, span)));
  expect(whole.startsWith(BEFORE) && whole.endsWith(BEHIND)).toBe(true);
  return whole.slice(BEFORE.length, -BEHIND.length);
}

const toolOf = (schema: string): string => `{"name":"t", "inputSchema":${schema},"outputSchema":{}}`;
const withProperties = (properties: string): string => toolOf(`{"type":"object","properties":${properties}}`);
const annotated = (name: string, type = '"string"'): string => `{"type":${type},"x-mcp-header":${name}}`;

describe('annotated parameters are found', () => {
  const REGION: ParamHeader = { header: 'mcp-param-region', path: ['region'], type: 'string' };
  const EXAMPLE = `{
    "name": "execute_sql",
    "description": "Execute SQL on Google Cloud Spanner",
    "inputSchema": {
      "type": "object",
      "properties": {
        "region": {
          "type": "string",
          "description": "The region to execute the query in",
          "x-mcp-header": "Region"
        },
        "query": { "type": "string", "description": "The SQL query to execute" }
      },
      "required": ["region", "query"]
    }
  }`;

  test.each<[what: string, tool: string, found: readonly ParamHeader[]]>([
    ['the example of the specification', EXAMPLE, [REGION]],
    ['the name first', withProperties('{"region":{"x-mcp-header":"Region","type":"string"}}'), [REGION]],
    [
      'each type',
      withProperties(
        `{"s":${annotated('"S"')},"i":${annotated('"I"', '"integer"')},"b":${annotated('"B"', '"boolean"')}}`,
      ),
      [
        { header: 'mcp-param-s', path: ['s'], type: 'string' },
        { header: 'mcp-param-i', path: ['i'], type: 'integer' },
        { header: 'mcp-param-b', path: ['b'], type: 'boolean' },
      ],
    ],
    [
      'at any depth',
      withProperties(`{"a":{"properties":{"b.c":{"type":"object","properties":{"":${annotated('"X"')}}}}}}`),
      [{ header: 'mcp-param-x', path: ['a', 'b.c', ''], type: 'string' }],
    ],
    [
      'under names of every kind',
      withProperties(
        `{"__proto__":${annotated('"A"')},"x-mcp-header":${annotated('"B"')},"properties":${annotated('"C"')},"items":${annotated('"D"')},"default":${annotated('"E"')}}`,
      ),
      [
        { header: 'mcp-param-a', path: ['__proto__'], type: 'string' },
        { header: 'mcp-param-b', path: ['x-mcp-header'], type: 'string' },
        { header: 'mcp-param-c', path: ['properties'], type: 'string' },
        { header: 'mcp-param-d', path: ['items'], type: 'string' },
        { header: 'mcp-param-e', path: ['default'], type: 'string' },
      ],
    ],
    [
      'spelled with escapes',
      toolOf('{"\\u0070roperties":{"r\\u00e9":{"typ\\u0065":"str\\u0069ng","\\u0078-mcp-header":"R\\u0065gion"}}}'),
      [{ header: 'mcp-param-region', path: ['ré'], type: 'string' }],
    ],
    [
      'the name of another header',
      withProperties(`{"a":${annotated('"Method"')}}`),
      [{ header: 'mcp-param-method', path: ['a'], type: 'string' }],
    ],
    [
      'every character of a token',
      withProperties(`{"a":${annotated('"!#$%&\'*+-.^_`|~09AZaz"')}}`),
      [{ header: "mcp-param-!#$%&'*+-.^_`|~09azaz", path: ['a'], type: 'string' }],
    ],
    [
      'beside a $ref, with a type of its own',
      withProperties('{"a":{"$ref":"#/$defs/a","type":"string","x-mcp-header":"A"}}'),
      [{ header: 'mcp-param-a', path: ['a'], type: 'string' }],
    ],
  ])('%s', (_what, tool, found) => {
    expect(paramsOf(tool)).toEqual(found);
  });

  test.each<[what: string, tool: string]>([
    ['no input schema', '{"name":"t"}'],
    ['a schema without one', EXAMPLE.replace('"x-mcp-header"', '"x-mcp-headers"')],
    ['a schema that gives a key twice', toolOf('{"type":"object","type":"object","$comment":"x-mcp-header"}')],
    ['a property of that name', withProperties('{"x-mcp-header":{"type":"string"}}')],
    ['a pattern of that name', toolOf('{"patternProperties":{"x-mcp-header":{"type":"string"}}}')],
    ['a definition of that name', toolOf('{"$defs":{"x-mcp-header":{"type":"string"}}}')],
    ['a dependency of that name', toolOf('{"dependentRequired":{"x-mcp-header":["a"]}}')],
    ['data of that name', withProperties('{"a":{"default":{"x-mcp-header":"A"},"enum":[{"x-mcp-header":"A"}]}}')],
    ['one in the output schema', '{"inputSchema":{},"outputSchema":{"x-mcp-header":"A"}}'],
    ['one in the tool itself', '{"inputSchema":{},"x-mcp-header":"A"}'],
    ['a schema that is none', toolOf('true')],
    ['no object', '"x-mcp-header"'],
    ['an array', '[{"inputSchema":{"x-mcp-header":"A"}}]'],
  ])('none: %s', (_what, tool) => {
    expect(paramsOf(tool)).toEqual([]);
    expect(stripped(tool)).toBe(tool);
  });
});

describe('a tool is invalid', () => {
  const two = (a: string, b: string): string => withProperties(`{"a":${annotated(a)},"b":${annotated(b)}}`);

  test.each<[what: string, tool: string]>([
    // Names: the tables of SEP-2243.
    ['the same name twice', two('"Region"', '"Region"')],
    ['the same name in other letters', two('"Region"', '"REGION"')],
    [
      'the same name at another depth',
      withProperties(`{"a":${annotated('"A"')},"b":{"properties":{"a":${annotated('"a"')}}}}`),
    ],
    ['an empty name', withProperties(`{"a":${annotated('""')}}`)],
    ['a name with a space', withProperties(`{"a":${annotated('"My Region"')}}`)],
    ['a name with a colon', withProperties(`{"a":${annotated('"Region:Primary"')}}`)],
    ['a name outside ASCII', withProperties(`{"a":${annotated('"Région"')}}`)],
    ['a name with a tab', withProperties(`{"a":${annotated('"Region\\t1"')}}`)],
    ['a name with a line end', withProperties(`{"a":${annotated('"Region\\r\\nX: 1"')}}`)],
    ['a name that ends in a line feed', withProperties(`{"a":${annotated('"Region\\n"')}}`)],
    ['a name that is a number', withProperties(`{"a":${annotated('1')}}`)],
    ['a name that is null', withProperties(`{"a":${annotated('null')}}`)],
    ['a name that is an object', withProperties(`{"a":${annotated('{"x-mcp-header":"A"}')}}`)],
    // Types.
    ['an array', withProperties(`{"a":${annotated('"A"', '"array"')}}`)],
    ['an object', withProperties(`{"a":${annotated('"A"', '"object"')}}`)],
    ['null', withProperties(`{"a":${annotated('"A"', '"null"')}}`)],
    ['a number', withProperties(`{"a":${annotated('"A"', '"number"')}}`)],
    ['a type in other letters', withProperties(`{"a":${annotated('"A"', '"String"')}}`)],
    ['no type', withProperties('{"a":{"x-mcp-header":"A"}}')],
    ['types in a list', withProperties(`{"a":${annotated('"A"', '["string","null"]')}}`)],
    [
      'a type by reference only',
      toolOf('{"properties":{"a":{"$ref":"#/$defs/a","x-mcp-header":"A"}},"$defs":{"a":{"type":"string"}}}'),
    ],
    // Places.
    ['at the root', toolOf(annotated('"A"'))],
    ['one good, one bad', withProperties(`{"a":${annotated('"A"')},"b":{"items":${annotated('"B"')}}}`)],
    ['a schema that is an array', toolOf(`[${annotated('"A"')}]`)],
    ['properties that are an array', withProperties(`[${annotated('"A"')}]`)],
    ...'items prefixItems contains additionalProperties unevaluatedItems unevaluatedProperties propertyNames oneOf anyOf allOf not if then else contentSchema additionalItems x-unknown'
      .split(' ')
      .flatMap((keyword): [string, string][] => [
        [`under ${keyword}`, withProperties(`{"a":{"${keyword}":${annotated('"A"')}}}`)],
        [`in a list under ${keyword}`, toolOf(`{"${keyword}":[true, {} ,${annotated('"A"')}]}`)],
        [`under properties under ${keyword}`, toolOf(`{"${keyword}":{"properties":{"a":${annotated('"A"')}}}}`)],
      ]),
    ...'patternProperties $defs definitions dependentSchemas dependencies'
      .split(' ')
      .map((keyword): [string, string] => [`under ${keyword}`, toolOf(`{"${keyword}":{"a":${annotated('"A"')}}}`)]),
    // Keys that stand twice: readers could take either.
    ['two input schemas', `{"inputSchema":{},"inputSchema":{"properties":{"a":${annotated('"A"')}}}}`],
    ['two properties', toolOf(`{"properties":{"a":${annotated('"A"')}},"properties":{}}`)],
    ['two of a name', withProperties(`{"a":${annotated('"A"')},"a":{"type":"string"}}`)],
    ['two of a name, one escaped', withProperties(`{"a":${annotated('"A"')},"\\u0061":{"type":"string"}}`)],
    ['two types', withProperties('{"a":{"type":"string","x-mcp-header":"A","type":"integer"}}')],
    ['two annotations', withProperties('{"a":{"type":"string","x-mcp-header":"A","x-mcp-header":"A"}}')],
  ])('%s', (_what, tool) => {
    expect(paramsOf(tool)).toBe('invalid');
    expect(paramsOf(stripped(tool))).toEqual([]);
  });
});

describe('annotations go, and nothing else', () => {
  test.each<[what: string, before: string, after: string]>([
    ['alone', '{"a":{"x-mcp-header":"A"}}', '{"a":{}}'],
    ['last', '{"a":{"type":"string","x-mcp-header":"A"}}', '{"a":{"type":"string"}}'],
    ['first', '{"a":{ "x-mcp-header" : "A" , "type":"string"}}', '{"a":{ "type":"string"}}'],
    [
      'between',
      '{"a":{"type":"string","x-mcp-header":"A","minLength":1.0}}',
      '{"a":{"type":"string","minLength":1.0}}',
    ],
    ['twice', '{"a":{"x-mcp-header":"A","type":"string","x-mcp-header":"B"}}', '{"a":{"type":"string"}}'],
    ['twice, alone', '{"a":{"x-mcp-header":"A","x-mcp-header":"B"}}', '{"a":{}}'],
    ['with escapes', '{"a":{"type":"\\u0073tring","\\u0078-mcp-header":"A"}}', '{"a":{"type":"\\u0073tring"}}'],
    ['with a value of many members', '{"a":{"x-mcp-header":{"x-mcp-header":[",}"]},"b":1}}', '{"a":{"b":1}}'],
    ['around another', '{"a":{"x-mcp-header":"A","items":{"x-mcp-header":"B"}}}', '{"a":{"items":{}}}'],
    ['around another, behind', '{"a":{"items":{"x-mcp-header":"B"},"x-mcp-header":"A"}}', '{"a":{"items":{}}}'],
    [
      'an argument of that name keeps its name',
      '{"x-mcp-header":{"type":"string","x-mcp-header":"A"},"b":{"x-mcp-header":"B"}}',
      '{"x-mcp-header":{"type":"string"},"b":{}}',
    ],
    [
      'data keeps it',
      '{"a":{"default":{"x-mcp-header":"A"},"const":{"x-mcp-header":"A"},"examples":[{"x-mcp-header":"A"}],"x-mcp-header":"A"}}',
      '{"a":{"default":{"x-mcp-header":"A"},"const":{"x-mcp-header":"A"},"examples":[{"x-mcp-header":"A"}]}}',
    ],
  ])('%s', (_what, before, after) => {
    expect(stripped(withProperties(before))).toBe(withProperties(after));
  });

  test('numbers, keys that are given twice and white space cross as they are', () => {
    const schema = (annotation: string): string =>
      `{ "properties" : { "a" : {"maximum":12345678901234567890,"maximum":1.0${annotation}\n} } }`;

    expect(stripped(toolOf(schema(',\n "x-mcp-header": "A"')))).toBe(toolOf(schema('')));
  });

  test('a schema of any shape is what a reader of objects makes of it', () => {
    const { schema } = fc.letrec<{ schema: Schema; full: Schema; map: Schema; list: unknown }>((tie) => ({
      schema: fc.oneof(
        { maxDepth: 2 },
        fc.constantFrom<Schema>({}, { type: 'string', 'x-mcp-header': 'c' }),
        tie('full'),
      ),
      full: fc
        .record(
          {
            'x-mcp-header': fc.oneof(fc.constantFrom('A', 'b', 'B', ''), fc.constant(null), fc.constant({ type: 'x' })),
            type: fc.constantFrom('string', 'integer', 'number', 'object'),
            properties: tie('map'),
            $defs: tie('map'),
            dependentRequired: fc.constant({ 'x-mcp-header': ['a'] }),
            items: fc.oneof(tie('schema'), tie('list')),
            allOf: tie('list'),
            default: fc.constant({ 'x-mcp-header': 'A' }),
            'x-other': tie('schema'),
          },
          { requiredKeys: [] },
        )
        .chain((made) => fc.shuffledSubarray(Object.keys(made)).map((keys) => pick(made, keys))),
      map: fc.dictionary(fc.constantFrom('a', 'type', 'properties', 'x-mcp-header', '__proto__'), tie('schema'), {
        maxKeys: 3,
      }),
      list: fc.array(tie('schema'), { maxLength: 2 }),
    }));

    const property = fc.property(schema, fc.constantFrom(0, 1, 3), (made, indent) => {
      const text = JSON.stringify({ name: 't', inputSchema: made }, null, indent);

      expect(JSON.parse(stripped(text))).toEqual({ name: 't', inputSchema: plain(made) });
      expect(paramsOf(text)).toEqual(expected(made));
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('many annotations are no more pieces to write than one', () => {
    const { bytes, span } = placed(manyAnnotated(10_000));

    expect(withoutParamHeaders(bytes, span)).toHaveLength(1);
  });
});

describe('a call and its headers', () => {
  const PARAMS: readonly ParamHeader[] = [
    { header: 'mcp-param-region', path: ['region'], type: 'string' },
    { header: 'mcp-param-count', path: ['count'], type: 'integer' },
    { header: 'mcp-param-flag', path: ['flag'], type: 'boolean' },
    { header: 'mcp-param-depth', path: ['a', 'b'], type: 'string' },
    { header: 'mcp-param-proto', path: ['__proto__', 'x'], type: 'string' },
  ];

  type Headers = Readonly<Record<string, string | readonly string[]>>;

  const check = (args: string, headers: Headers): string | null => faultOf(PARAMS, args, headers);

  test.each<[what: string, args: string, headers: Headers]>([
    ['nothing of it', '{"query":"x"}', {}],
    ['null', '{"region":null,"count":null,"a":null}', {}],
    ['null inside', '{"a":{"b":null}}', {}],
    ['no arguments', 'null', {}],
    ['arguments of another kind', '["region"]', {}],
    ['something else on the way', '{"a":"b","__proto__":["x"]}', {}],
    ['a string', '{"region":"us-west1"}', { region: 'us-west1' }],
    ['a string with escapes', '{"r\\u0065gion":"us\\u002dwest1"}', { region: 'us-west1' }],
    ['white space around the header', '{"region":"us-west1"}', { region: ' us-west1\t' }],
    ['an empty string', '{"region":""}', { region: '' }],
    ['an empty string, encoded', '{"region":""}', { region: '=?base64??=' }],
    ['spaces inside', '{"region":"us west 1"}', { region: 'us west 1' }],
    ['Base64', '{"region":"Hello"}', { region: '=?base64?SGVsbG8=?=' }],
    ['characters of all kinds', '{"region":"日本語"}', { region: '=?base64?5pel5pys6Kqe?=' }],
    ['a line end', '{"region":"line1\\r\\nline2"}', { region: '=?base64?bGluZTENCmxpbmUy?=' }],
    ['what looks like Base64', '{"region":"SGVsbG8="}', { region: 'SGVsbG8=' }],
    ['half of the pattern', '{"region":"=?base64?SGVsbG8="}', { region: '=?base64?SGVsbG8=' }],
    ['the pattern in other letters', '{"region":"=?BASE64?SGVsbG8=?="}', { region: '=?BASE64?SGVsbG8=?=' }],
    ['the pattern itself', '{"region":"=?base64?literal?="}', { region: '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=' }],
    ['an integer', '{"count":42}', { count: '42' }],
    ['a negative integer', '{"count":-7}', { count: '-7' }],
    ['an integer with a fraction in the header', '{"count":42}', { count: '42.0' }],
    ['an integer with a fraction in the body', '{"count":42.0}', { count: '42' }],
    ['an integer with a power', '{"count":4.2e1}', { count: '42' }],
    ['an integer, encoded', '{"count":42}', { count: '=?base64?NDI=?=' }],
    ['an integer beyond 2^53', '{"count":9007199254740993}', { count: '9007199254740993' }],
    ['true', '{"flag":true}', { flag: 'true' }],
    ['false', '{"flag":false}', { flag: 'false' }],
    ['a value of another type than the tool wants', '{"count":"many","region":3.50}', { count: 'many', region: '3.5' }],
    ['a nested value', '{"a":{"c":1,"b":"x"}}', { depth: 'x' }],
    ['a nested value under a name that objects have', '{"__proto__":{"x":"y"}}', { proto: 'y' }],
    ['headers that the tool does not name', '{"region":"x"}', { region: 'x', other: ['=?base64?!?=', 'é'] }],
    ['an argument twice that no header says', '{"query":1,"query":2}', {}],
    ['an argument twice in another object', '{"c":{"region":1,"region":2}}', {}],
  ])('agree: %s', (_what, args, headers) => {
    expect(check(args, headers)).toBeNull();
  });

  test.each<[what: string, args: string, headers: Headers, fault: string]>([
    ['no header', '{"region":"x"}', {}, 'the header mcp-param-region is missing (for the argument "region")'],
    [
      'no header for an empty string',
      '{"region":""}',
      {},
      'the header mcp-param-region is missing (for the argument "region")',
    ],
    ['no header for false', '{"flag":false}', {}, 'the header mcp-param-flag is missing (for the argument "flag")'],
    [
      'no header for a nested value',
      '{"a":{"b":"x"}}',
      {},
      'the header mcp-param-depth is missing (for the argument "a.b")',
    ],
    [
      'the header of another',
      '{"region":"x"}',
      { count: 'x' },
      'the header mcp-param-region is missing (for the argument "region")',
    ],
    [
      'two headers',
      '{"region":"x"}',
      { region: ['x', 'x'] },
      'the header mcp-param-region is given 2 times (for the argument "region")',
    ],
    [
      'characters that a header must not hold',
      '{"region":"é"}',
      { region: 'é' },
      'the header mcp-param-region holds characters or Base64 that it must not (for the argument "region")',
    ],
    [
      'a header and no argument',
      '{}',
      { region: 'x' },
      'the header mcp-param-region is given, but not the argument "region"',
    ],
    [
      'a header and no arguments',
      'null',
      { region: 'x' },
      'the header mcp-param-region is given, but not the argument "region"',
    ],
    [
      'a header and null',
      '{"region":null}',
      { region: 'null' },
      'the header mcp-param-region is given, but not the argument "region"',
    ],
    [
      'an empty header and no argument',
      '{}',
      { region: '' },
      'the header mcp-param-region is given, but not the argument "region"',
    ],
    [
      'a header and something else on the way',
      '{"a":["b"]}',
      { depth: 'b' },
      'the header mcp-param-depth is given, but not the argument "a.b"',
    ],
    ['an object', '{"region":{"x":1}}', {}, 'the argument "region" is an object: no header says that'],
    ['an array', '{"region":["x"]}', { region: 'x' }, 'the argument "region" is an array: no header says that'],
    ['an argument twice', '{"region":"x","region":"y"}', { region: 'x' }, 'the argument "region" is given twice'],
    [
      'an argument twice, once as null',
      '{"region":null,"r\\u0065gion":"y"}',
      {},
      'the argument "region" is given twice',
    ],
    ['twice on the way', '{"a":{"b":"x"},"a":{}}', { depth: 'x' }, 'the argument "a" is given twice'],
  ])('differ: %s', (_what, args, headers, fault) => {
    expect(check(args, headers)).toBe(fault);
  });

  test.each<[args: string, headers: Headers]>([
    ['{"region":"x"}', { region: 'X' }],
    ['{"region":"x"}', { region: '=?base64?WA==?=' }],
    ['{"region":" x"}', { region: ' x' }],
    ['{"region":"Hello"}', { region: '=?BASE64?SGVsbG8=?=' }],
    ['{"region":"=?base64?SGVsbG8=?="}', { region: '=?base64?SGVsbG8=?=' }],
    ['{"region":"42"}', { region: '42.0' }],
    ['{"region":"\\ud800"}', { region: '=?base64?77+9?=' }],
    ['{"count":42}', { count: '43' }],
    ['{"count":42}', { count: '' }],
    ['{"count":42}', { count: '042' }],
    ['{"count":42}', { count: '0x2a' }],
    ['{"count":42}', { count: '42, 42' }],
    ['{"count":9007199254740993}', { count: '9007199254740992' }],
    ['{"flag":true}', { flag: 'True' }],
    ['{"flag":true}', { flag: '1' }],
    ['{"flag":true}', { flag: 'false' }],
    ['{"a":{"b":"x"}}', { depth: 'y' }],
  ])('%s is not what %j says', (args, headers) => {
    expect(check(args, headers)).toMatch(/^the header mcp-param-\w+ does not say what the argument "[\w.]+" says$/);
  });

  test.each(['=?base64?SGVsbG8?=', '=?base64?SGVs!!!bG8=?=', '=?base64?/w==?='])('%s is refused', (value) => {
    expect(check('{"region":"Hello"}', { region: value })).toMatch(/holds characters or Base64 that it must not/);
  });

  test('a tool without annotations wants no header', () => {
    expect(faultOf([], '{"region":"x","region":"y"}', { region: ['a', 'b'] })).toBeNull();
  });

  test('what a client makes of an argument is accepted, and of another one refused', () => {
    const value = fc.oneof(fc.string({ unit: 'grapheme' }), fc.maxSafeInteger(), fc.boolean());
    const property = fc.property(value, value, fc.boolean(), (body, other, always) => {
      const told = check(JSON.stringify({ region: body }), { region: encoded(String(other), always) });

      expect(told === null).toBe(String(body) === String(other));
    });

    fc.assert(property, { numRuns: 2000 });
  });
});

describe('hostile tools and calls cost no more than their length', () => {
  const deep = (levels: number, inner: string): string =>
    `${'{"x-mcp-header":"A","properties":{"a":'.repeat(levels)}${inner}${'}}'.repeat(levels)}`;

  test('ten thousand annotations', () => {
    const params = paramsOf(manyAnnotated(10_000));
    const args = `{${Array.from({ length: 10_000 }, (_, i) => `"p${i}":${i}`).join()}}`;
    const headers = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`h${i}`, `${i}.0`]));

    expect(params).toHaveLength(10_000);
    expect(faultOf(params === 'invalid' ? [] : params, args, headers)).toBeNull();
  });

  test('a mebibyte under nested annotations', () => {
    const tool = toolOf(deep(60, `{"enum":[${'1,'.repeat(524_288)}1]}`));

    expect(paramsOf(tool)).toBe('invalid');
    expect(stripped(tool)).not.toContain('x-mcp-header');
  });

  test('a long name on the way to many parameters', () => {
    const name = 'n'.repeat(500_000);
    const many = Array.from({ length: 5000 }, (_, i) => `"p${i}":${annotated(`"h${i}"`)}`).join();
    const params = paramsOf(withProperties(`{"${name}":{"properties":{${many}}}}`));

    expect(params).toHaveLength(5000);
    expect(faultOf(params === 'invalid' ? [] : params, `{"${name}":{"p1":"x"}}`, {})?.length).toBeLessThan(200);
  });

  test('a mebibyte of almost annotations', () => {
    const tool = toolOf(`{"properties":{"a":{${'"x-mcp-heade":"A",'.repeat(60_000)}"\\u0078":1}}}`);

    expect(paramsOf(tool)).toEqual([]);
  });

  test('a long argument and a long header', () => {
    const text = '=?base64?'.repeat(116_000);
    const params: ParamHeader[] = [{ header: 'mcp-param-a', path: ['a'], type: 'string' }];

    expect(faultOf(params, JSON.stringify({ a: text }), { a: text })).toBeNull();
    expect(faultOf(params, JSON.stringify({ a: text }), { a: `${text}?=` })).toMatch(/holds characters or Base64/);
  });

  test('ten thousand times the same', () => {
    const tool = withProperties(`{${Array.from({ length: 10_000 }, () => `"a":${annotated('"A"')}`).join()}}`);

    expect(paramsOf(tool)).toBe('invalid');
    expect(stripped(tool)).not.toContain('x-mcp-header');
  });
});

function manyAnnotated(count: number): string {
  return withProperties(
    `{${Array.from({ length: count }, (_, i) => `"p${i}":${annotated(`"H${i}"`, '"integer"')}`).join()}}`,
  );
}

function faultOf(
  params: readonly ParamHeader[],
  args: string,
  headers: Readonly<Record<string, string | readonly string[]>>,
): string | null {
  const before = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":';
  const bytes = Buffer.from(`${before}${args}}}`);
  if (read(bytes).kind !== 'request') throw new Error(`no message: ${args}`);
  const valuesOf: HeaderValues = (name) => {
    const value = headers[name.replace('mcp-param-', '')];
    return value === undefined ? [] : [value].flat();
  };
  const span = args === 'null' ? null : { start: before.length, end: bytes.length - 2 };
  return paramHeaderFault(params, bytes, span, valuesOf);
}

/** As clients encode: only what has to be, or everything. */
function encoded(text: string, always: boolean): string {
  const isPlain = /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text) && !/^=\?base64\?.*\?=$/.test(text);
  return isPlain && !always ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

type Schema = Readonly<Record<string, unknown>>;

function pick(schema: Schema, keys: readonly string[]): Schema {
  return Object.fromEntries(keys.map((key) => [key, schema[key]]));
}

/** What is left of a schema without annotations, told by objects. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain);
  if (!isSchema(schema)) return schema;
  const members = Object.entries(schema).filter(([key]) => key !== 'x-mcp-header');
  return Object.fromEntries(
    members.map(([key, value]) => {
      if (key === 'default' || key === 'dependentRequired') return [key, value];
      if (key !== 'properties' && key !== '$defs') return [key, plain(value)];
      return [key, Object.fromEntries(Object.entries(value as Schema).map(([name, each]) => [name, plain(each)]))];
    }),
  );
}

function expected(root: Schema): readonly ParamHeader[] | 'invalid' {
  const found: (ParamHeader | null)[] = [];
  const visit = (schema: unknown, path: readonly string[] | null): void => {
    if (Array.isArray(schema)) for (const each of schema) visit(each, null);
    if (!isSchema(schema)) return;
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties' || key === '$defs') {
        for (const [name, each] of Object.entries(value as Schema)) {
          visit(each, key === 'properties' && path !== null ? [...path, name] : null);
        }
      } else if (key === 'items' || key === 'allOf' || key === 'x-other') visit(value, null);
    }
    if (!Object.hasOwn(schema, 'x-mcp-header')) return;
    const { 'x-mcp-header': name, type } = schema;
    const isRight = typeof name === 'string' && name !== '' && (type === 'string' || type === 'integer');
    const isReached = path !== null && path.length > 0;
    found.push(isRight && isReached ? { header: `mcp-param-${name.toLowerCase()}`, path, type } : null);
  };
  visit(root, []);
  const valid = found.filter((each) => each !== null);
  const names = new Set(valid.map(({ header }) => header));
  return valid.length === found.length && names.size === valid.length ? valid : 'invalid';
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
