import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ModernError, modernError } from '../../src/protocol/modern-error.ts';
import { splice } from '../../src/protocol/splice.ts';
import { rawMember, rawObject, rawValue, stranger } from './raw-objects.ts';
import { readAs, textOfChunks } from './read.ts';
import { treeOf } from './two-readers.ts';

const URI = 'file:///a "é".txt';
const URI_MEMBER = `"uri":${JSON.stringify(URI)}`;

const answerOf = (error: string): string => `{"jsonrpc":"2.0", "error":${error} ,"id":"\\u0031"}`;

function meaning(error: string, method: string, params: { readonly uri?: string } = { uri: URI }): ModernError {
  return modernError(readAs('error', answerOf(error)), method, params);
}

/** The error object as a modern client gets it. */
function after(error: string, method = 'tools/call', params: { readonly uri?: string } = { uri: URI }): string {
  const meant = meaning(error, method, params);
  if (meant.kind !== 'edits') throw new Error(meant.kind);
  const text = textOfChunks(splice(readAs('error', answerOf(error)).bytes, meant.edits));
  const [before = '', behind = ''] = answerOf('|').split('|');
  expect(text.startsWith(before)).toBe(true);
  expect(text.endsWith(behind)).toBe(true);
  return text.slice(before.length, text.length - behind.length);
}

const inside = (error: string, message = '"m\\u00e9"'): string =>
  `{"code":-32603,"message":${message},"data":{"upstream":${error}}}`;

describe('a code that means the same crosses byte for byte', () => {
  test.each([-32700, -32600, -32601, -32602, -32603, -1, 0, 1, 404, -31999, -32100, -32768, 9007199254740991])(
    '%d',
    (code) => {
      const error = `{ "code":${code} , "data":{"a":1.0},"message":"m\\u00e9"}`;

      for (const method of ['tools/call', 'resources/read', 'tools/list', 'x/y']) {
        expect(meaning(error, method)).toEqual({ kind: 'edits', edits: [] });
      }
    },
  );
});

describe('a code that would be read as another becomes an internal error', () => {
  test.each([
    -32000, -32001, -32002, -32003, -32010, -32019, -32020, -32021, -32022, -32023, -32041, -32042, -32043, -32099,
  ])('%d', (code) => {
    const error = `{ "data":{"uri":1.0,"__proto__":{}} , "code":${code},"message":"m\\u00e9","x":1}`;

    for (const method of ['tools/call', 'tools/list', 'constructor']) expect(after(error, method)).toBe(inside(error));
  });

  test.each<[what: string, error: string]>([
    ['a fraction', '{"code":-32602.0,"message":"m\\u00e9"}'],
    ['an exponent', '{"code":1e2,"message":"m\\u00e9"}'],
    ['a text', '{"code":"-32602","message":"m\\u00e9"}'],
    ['nothing', '{"code":null,"message":"m\\u00e9"}'],
    ['missing', '{"message":"m\\u00e9","data":1}'],
  ])('one that is %s', (_what, error) => {
    expect(after(error)).toBe(inside(error));
    expect(after(error, 'resources/read')).toBe(inside(error));
  });
});

describe('an error without a message gets one', () => {
  const NO_MESSAGE = '"the upstream gave no message"';

  test.each<[error: string, modern: string]>([
    ['{"code":-32601}', `{"message":${NO_MESSAGE},"code":-32601}`],
    ['{"code":7,"message":null,"data":1.0}', `{"code":7,"message":${NO_MESSAGE},"data":1.0}`],
    ['{"code":-32001,"message":{}}', inside('{"code":-32001,"message":{}}', NO_MESSAGE)],
    ['{}', inside('{}', NO_MESSAGE)],
  ])('%s', (error, modern) => {
    expect(after(error)).toBe(modern);
  });

  test('also where a resource is not found', () => {
    expect(after('{"code":-32002}', 'resources/read')).toBe(
      `{"message":${NO_MESSAGE},"code":-32602,"data":{${URI_MEMBER}}}`,
    );
  });
});

describe('a resource that is not found is a wrong parameter', () => {
  test.each<[what: string, data: string, modern: string]>([
    ['its address is said', '', `,"data":{${URI_MEMBER}}`],
    ['instead of no data', ',"data":null', `,"data":{${URI_MEMBER}}`],
    ['instead of a text', ',"data":"gone"', `,"data":{${URI_MEMBER}}`],
    ['in empty data', ', "data" : {}', `, "data" : {${URI_MEMBER}}`],
    ['beside other data', ',"data":{ "a":1.0}', `,"data":{${URI_MEMBER}, "a":1.0}`],
    ['as the upstream wrote it', ',"data":{"a":1,"\\u0075ri":"x"}', ',"data":{"a":1,"\\u0075ri":"x"}'],
    ['instead of one that is none', ',"data":{"uri":null,"a":1}', `,"data":{${URI_MEMBER},"a":1}`],
    ['instead of two', ',"data":{"uri":"a","b":1,"uri":"c"}', `,"data":{${URI_MEMBER},"b":1}`],
  ])('%s', (_what, data, modern) => {
    expect(after(`{"message":"m\\u00e9"${data},"code":-32002}`, 'resources/read')).toBe(
      data === '' ? `{"message":"m\\u00e9","code":-32602${modern}}` : `{"message":"m\\u00e9"${modern},"code":-32602}`,
    );
  });

  test('of a request that named none, only the code changes', () => {
    expect(after('{"code":-32002,"message":"m"}', 'resources/read', {})).toBe('{"code":-32602,"message":"m"}');
    expect(after('{"code":-32002,"message":"m","data":[1.0]}', 'resources/read', {})).toBe(
      '{"code":-32602,"message":"m","data":[1.0]}',
    );
  });

  test('data of more than 64 KiB is not looked into', () => {
    const data = `{"a":"${'x'.repeat(64 * 1024)}"}`;

    expect(after(`{"code":-32002,"message":"m","data":${data}}`, 'resources/read')).toBe(
      `{"code":-32602,"message":"m","data":${data}}`,
    );
  });
});

describe('pages that must be visited first', () => {
  const page = (url: string): string => `{"mode":"url","elicitationId":"1","url":"${url}","message":"visit \\u00e9"}`;
  const asked = (elicitations: string): string =>
    `{"code":-32042,"message":"m","data":{"elicitations":${elicitations}}}`;
  const two = asked(`[${page('https://a.example/x')},${page('http://b.example/')}]`);

  test.each(['tools/call', 'prompts/get', 'resources/read'])('are told apart for %s', (method) => {
    expect(meaning(two, method)).toEqual({
      kind: 'url elicitation',
      elicitations: [
        { message: 'visit é', url: 'https://a.example/x' },
        { message: 'visit é', url: 'http://b.example/' },
      ],
    });
  });

  test.each(['tools/list', 'completion/complete', 'server/discover', 'constructor', 'x'])(
    'are none where nothing may be asked: %s',
    (method) => {
      expect(after(two, method)).toBe(inside(two, '"m"'));
    },
  );

  test.each<[what: string, error: string]>([
    ['no data', '{"code":-32042,"message":"m"}'],
    ['data of another kind', '{"code":-32042,"message":"m","data":[]}'],
    ['none', asked('[]')],
    ['no list', asked('{"length":1}')],
    ['one that is none', asked(`[${page('https://a.example')},null]`)],
    [
      'one of another mode',
      asked(`[${page('https://a.example')},${page('https://a.example').replace('"url"', '"form"')}]`),
    ],
    ['one without a mode', asked('[{"url":"https://a.example","message":""}]')],
    ['one without a message', asked('[{"mode":"url","url":"https://a.example"}]')],
    ['one without an address', asked('[{"mode":"url","message":""}]')],
    ['one with an address that is none', asked(`[${page('//a')}]`)],
    ['too many', asked(`[${Array.from({ length: 101 }, () => page('https://a.example')).join()}]`)],
    ['too much to read', asked(`[${page(`https://a.example/${'x'.repeat(64 * 1024)}`)}]`)],
  ])('cannot be asked for where there is %s', (_what, error) => {
    expect(after(error)).toBe(inside(error, '"m"'));
  });

  test('may be a hundred', () => {
    const error = asked(`[${Array.from({ length: 100 }, () => page('https://a.example')).join()}]`);

    expect(meaning(error, 'tools/call')).toMatchObject({ kind: 'url elicitation', elicitations: { length: 100 } });
  });
});

test('of any error a modern client reads a code that it may read, and nothing is lost', () => {
  const code = fc.oneof(fc.integer({ min: -32110, max: -31990 }), fc.constantFrom(-32002, -32042, -32601, -1));
  const rest = fc.uniqueArray(
    fc.oneof(
      stranger.filter(({ name }) => !['code', 'message', 'data'].includes(name)),
      rawMember(fc.constant('message')),
      rawMember(
        fc.constant('data'),
        fc.oneof(
          rawValue,
          rawObject(fc.oneof(stranger, rawMember(fc.constant('uri')))).map(({ text }) => text),
        ),
      ),
    ),
    { maxLength: 4, selector: ({ name }) => name },
  );
  const method = fc.constantFrom('tools/call', 'resources/read', 'tools/list');
  const property = fc.property(code, rest, method, (number, members, name) => {
    const error = `{${members.map(({ text }) => `${text} , `).join('')}"code": ${number} }`;

    const text = after(error, name);

    for (const wins of ['first', 'last'] as const) {
      const tree = treeOf(text, wins);
      if (!(tree instanceof Map)) throw new Error(text);
      expect(typeof tree.get('message')).toBe('string');
      const given = treeOf(error, wins);
      const data = tree.get('data');
      const now = Number(/-?\d+/.exec(JSON.stringify(tree.get('code')))?.[0]);
      expect(now <= -32000 && now >= -32099).toBe(false);
      if (now === number) continue;
      if (now === -32602) expect(data instanceof Map && typeof data.get('uri') === 'string').toBe(true);
      else expect(data).toEqual(new Map([['upstream', given]]));
    }
    for (const { name: known, value } of members) {
      if (known !== 'message' && known !== 'data') expect(text).toContain(value);
    }
  });

  fc.assert(property, { numRuns: 1000 });
});
