import { describe, expect, test } from 'vitest';
import {
  type Message,
  bytesOf,
  encode,
  membersOf,
  ownError,
  ownMessage,
  ownResult,
  parsed,
  textOf,
} from '../../src/protocol/json-rpc.ts';
import { read, readAs } from './read.ts';

function request(members: string): string {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call"${members === '' ? '' : `,${members}`}}`;
}

function utf8(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes == null ? undefined : Buffer.from(bytes).toString();
}

describe('the kind of a message follows from its members', () => {
  test.each<[kind: Message['kind'], text: string]>([
    ['request', '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
    ['request', '{"method":"ping","params":{},"id":"1","jsonrpc":"2.0"}'],
    ['request', '{"jsonrpc":"\\u0032.0","\\u0069d":1,"meth\\u006fd":"ping"}'],
    ['request', ' \t\r\n{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "" } \n'],
    ['notification', '{"jsonrpc":"2.0","method":"notifications/initialized"}'],
    ['result', '{"jsonrpc":"2.0","id":1,"result":{}}'],
    ['result', '{"jsonrpc":"2.0","id":null,"result":{}}'],
    ['result', '{"jsonrpc":"2.0","result":null}'],
    ['result', '{"jsonrpc":"2.0","id":1,"result":[1.0]}'],
    ['error', '{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":""}}'],
    ['error', '{"jsonrpc":"2.0","id":null,"error":{}}'],
    ['error', '{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}'],
    // Members of no meaning to us are nobody’s reason to refuse.
    ['result', '{"jsonrpc":"2.0","id":1,"result":{},"params":[1]}'],
    ['request', '{"jsonrpc":"2.0","id":1,"method":"x","ID":null,"Method":1,"__proto__":{"id":2}}'],
  ])('%s: %s', (kind, text) => {
    expect(read(text).kind).toBe(kind);
  });
});

describe('a message of the wrong shape is an invalid request [A6 A7]', () => {
  test.each<[why: string, text: string]>([
    ['an empty array', '[]'],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]'],
    ['a string', '"jsonrpc"'],
    ['a number', ' 12 '],
    ['null', 'null'],
    ['true', 'true'],
    ['no member', '{}'],
    ['no jsonrpc', '{"id":1,"method":"ping"}'],
    ['jsonrpc 1.0', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
    ['jsonrpc as a number', '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
    ['jsonrpc null', '{"jsonrpc":null,"id":1,"method":"ping"}'],
    ['jsonrpc in other letters', '{"JSONRPC":"2.0","id":1,"method":"ping"}'],
    ['a null id of a request', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['a fractional id', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
    ['an id with a fraction of zero', '{"jsonrpc":"2.0","id":1.0,"method":"ping"}'],
    ['an id with an exponent', '{"jsonrpc":"2.0","id":1e0,"method":"ping"}'],
    ['an id with a capital exponent', '{"jsonrpc":"2.0","id":1E2,"method":"ping"}'],
    ['an object as id', '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
    ['an array as id', '{"jsonrpc":"2.0","id":[1],"method":"ping"}'],
    ['a boolean as id', '{"jsonrpc":"2.0","id":true,"method":"ping"}'],
    ['a fractional id of a result', '{"jsonrpc":"2.0","id":1.0,"result":{}}'],
    ['an object as id of an error', '{"jsonrpc":"2.0","id":{},"error":{}}'],
    ['positional params', request('"params":[1,2]')],
    ['params null', request('"params":null')],
    ['params as text', request('"params":"x"')],
    ['positional params of a notification', '{"jsonrpc":"2.0","method":"x","params":[]}'],
    ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":7}'],
    ['a method that is null', '{"jsonrpc":"2.0","id":1,"method":null}'],
    ['a method and a result', request('"result":{}')],
    ['a method and an error', request('"error":{}')],
    ['a result and an error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}'],
    ['a null result and an error', '{"jsonrpc":"2.0","id":1,"result":null,"error":{}}'],
    ['a result and a null error', '{"jsonrpc":"2.0","id":1,"result":{},"error":null}'],
    ['an error that is text', '{"jsonrpc":"2.0","id":1,"error":"no"}'],
    ['neither method nor answer', '{"jsonrpc":"2.0","id":1}'],
  ])('%s', (_why, text) => {
    expect(read(text)).toMatchObject({ kind: 'unreadable', code: 'invalid_request' });
  });
});

describe('a refusal names the request where its id was read', () => {
  test.each<[what: string, text: string, id: string | undefined]>([
    ['a wrong shape', '{"id":7,"jsonrpc":"1.0","method":"x"}', '7'],
    ['text as id', '{"id":"é\\u0031","method":"x"}', '"é\\u0031"'],
    ['a duplicate after the id', '{"id":-3,"method":"x","method":"y"}', '-3'],
    ['a duplicate before the id', '{"method":"x","method":"y","id":-3}', undefined],
    ['an illegal id', '{"jsonrpc":"2.0","id":1.0,"method":"x"}', undefined],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"x"}', undefined],
    ['broken JSON', '{"jsonrpc":"2.0","id":1,"method":"x",}', undefined],
  ])('%s', (_what, text, id) => {
    const refused = read(text);

    expect(refused.kind === 'unreadable' ? utf8(refused.id) : 'readable').toBe(id);
  });
});

test('a refusal stays short, however long the key is that a peer gives twice', () => {
  const key = `io.modelcontextprotocol/${'x'.repeat(100_000)}`;
  const refused = read(request(`"params":{"_meta":{"${key}":1,"${key}":2}}`));

  expect(refused).toMatchObject({ kind: 'unreadable', code: 'invalid_request' });
  expect(refused.kind === 'unreadable' ? refused.why.length : 0).toBeLessThan(1000);
});

describe('a member that we read may be given once only', () => {
  const twice = (key: string, spelling = `"${key}"`): string => `"${key}":"a",${spelling}:"b"`;
  const rows: [member: string, text: string][] = [
    ['jsonrpc', '{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"x"}'],
    ['id', '{"jsonrpc":"2.0","id":1,"id":1,"method":"x"}'],
    ['id, escaped', '{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"x"}'],
    ['id, escaped both times', '{"jsonrpc":"2.0","i\\u0064":1,"\\u0069d":2,"method":"x"}'],
    ['method', request('"method":"tools/list"')],
    ['method, escaped', request('"m\\u0065thod":"tools/list"')],
    ['params', request('"params":{},"params":{}')],
    ['params, escaped', request('"params":{},"p\\u0061rams":{}')],
    ['result', '{"jsonrpc":"2.0","id":1,"result":{},"result":{}}'],
    ['error', '{"jsonrpc":"2.0","id":1,"error":{},"error":{}}'],
    ['result of a request that has none otherwise', '{"jsonrpc":"2.0","result":1,"id":1,"res\\u0075lt":{}}'],
    ...['name', 'uri', '_meta', 'task', 'inputResponses', 'requestState', 'progressToken', 'requestId'].flatMap(
      (key): [string, string][] => [
        [`params.${key}`, request(`"params":{${twice(key)}}`)],
        [
          `params.${key}, escaped`,
          request(`"params":{${twice(key, `"\\u00${key.charCodeAt(0).toString(16)}${key.slice(1)}"`)}}`),
        ],
      ],
    ),
    ['params._meta, as objects', request('"params":{"_meta":{},"x":1,"_meta":{}}')],
    ['params._meta.progressToken', request('"params":{"_meta":{"progressToken":1,"progressToken":2}}')],
    ['params._meta.progressToken, escaped', request('"params":{"_meta":{"progressToken":1,"\\u0070rogressToken":2}}')],
    [
      'a reserved _meta key',
      request(
        '"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/protocolVersion":1}}',
      ),
    ],
    [
      'a reserved _meta key of a longer prefix',
      request('"params":{"_meta":{"com.mcp.tools/x":1,"com.mcp.tools\\u002fx":1}}'),
    ],
    ['error.code', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"code":2}}'],
    ['error.message', '{"jsonrpc":"2.0","id":1,"error":{"message":"","\\u006dessage":""}}'],
    ['params._meta of a notification', '{"jsonrpc":"2.0","method":"x","params":{"_meta":{},"_meta":null}}'],
  ];

  test.each(rows)('%s', (_member, text) => {
    const refused = read(text);

    expect(refused).toMatchObject({ kind: 'unreadable', code: 'invalid_request' });
    expect(refused).toHaveProperty('why', expect.stringContaining('given twice'));
  });

  test.each<[where: string, text: string]>([
    ['unknown members of the root', request('"x":1,"x":2')],
    ['members that differ in case', request('"Id":1,"Id":2')],
    ['arguments', request('"params":{"arguments":{"id":1,"id":2,"_meta":1,"_meta":2,"name":1,"name":2}}')],
    ['arguments themselves', request('"params":{"arguments":1,"arguments":2}')],
    ['unreserved _meta keys', request('"params":{"_meta":{"x":1,"x":2,"example.com/x":1,"example.com/x":2}}')],
    ['the result', '{"jsonrpc":"2.0","id":1,"result":{"id":1,"id":2,"jsonrpc":1,"jsonrpc":2}}'],
    ['the data of an error', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"","data":{"code":1,"code":2}}}'],
    ['__proto__', request('"__proto__":1,"__proto__":{"id":1,"id":2}')],
    ['an element of an array', request('"params":{"x":[{"id":1,"id":1}]}')],
  ])('elsewhere it may be given often: %s', (_where, text) => {
    expect(read(text).kind).not.toBe('unreadable');
  });
});

describe('ids are kept as their own bytes [A5]', () => {
  test.each(['0', '-3', '-0', '""', '"1"', '1', '9007199254740993', '123456789012345678901234567890', '"\\ud800"'])(
    '%s',
    (id) => {
      const message = readAs('request', `{"jsonrpc":"2.0","id": ${id} ,"method":"x"}`);

      expect(utf8(bytesOf(message.bytes, message.id))).toBe(id);
    },
  );

  test.each([1_000, 100_000])('a text of %i characters', (length) => {
    const id = JSON.stringify('ä"\\'.repeat(length));
    const message = readAs('result', `{"jsonrpc":"2.0","result":{},"id":${id}}`);

    expect(message.id && utf8(bytesOf(message.bytes, message.id))).toBe(id);
  });
});

describe('what is found in a message', () => {
  test('a method is read with its escapes resolved', () => {
    expect(readAs('notification', '{"jsonrpc":"2.0","method":"\\u0074ools\\/call"}').method).toBe('tools/call');
  });

  test('params and _meta are null where they are absent or not objects', () => {
    expect(readAs('request', request(''))).toMatchObject({ params: null, meta: null });
    expect(readAs('request', request('"params":{"_meta":7}')).meta).toBeNull();
    expect(readAs('request', request('"params":{"arguments":{"_meta":{"progressToken":1}}}')).meta).toBeNull();
  });

  test('members of params and _meta are found by their escaped spelling too', () => {
    const message = readAs('request', request('"params":{"n\\u0061me":"t","_m\\u0065ta":{"progress\\u0054oken":1.0}}'));

    expect([...(message.params?.members.keys() ?? [])]).toEqual(['name', '_meta']);
    expect(message.meta?.members.get('progressToken')?.kind).toBe('number');
  });

  test('__proto__ in the text is a member like any other, and lends nothing', () => {
    const message = readAs('request', request('"params":{"__proto__":{"name":"x","_meta":{"progressToken":1}}}'));

    expect(message.params?.members.has('name')).toBe(false);
    expect(message.meta).toBeNull();
  });

  test('named members of a result are found, unless one of them is given twice', () => {
    const names = new Set(['a', 'b']);
    const once = readAs('result', '{"jsonrpc":"2.0","id":1,"result":{"\\u0061":1.0,"c":{"b":1},"c":2}}');
    const twice = readAs('result', '{"jsonrpc":"2.0","id":1,"result":{"a":1,"b":2,"\\u0062":3}}');
    const array = readAs('result', '{"jsonrpc":"2.0","id":1,"result":[{"a":1}]}');

    expect([...(membersOf(once, once.result, names)?.members.keys() ?? [])]).toEqual(['a']);
    expect(membersOf(twice, twice.result, names)).toBeNull();
    expect(membersOf(array, array.result, names)).toBeNull();
  });

  test('a value that we interpret is parsed from its own span', () => {
    const message = readAs('result', '{"jsonrpc":"2.0","id":"\\u00e9","result": {"é":[1.0,"\\ud83d\\ude00"]} }');

    expect(parsed(message.bytes, message.result)).toEqual({ é: [1, '😀'] });
    expect(message.id && textOf(message.bytes, message.id)).toBe('é');
  });
});

describe('messages of our own', () => {
  test('carry the asker’s id byte for byte', () => {
    expect(utf8(ownResult(encode('"\\u0031"'), { a: 1 }))).toBe('{"jsonrpc":"2.0","id":"\\u0031","result":{"a":1}}');
    expect(utf8(ownError(encode('-0'), { code: -32601, message: 'no' }))).toBe(
      '{"jsonrpc":"2.0","id":-0,"error":{"code":-32601,"message":"no"}}',
    );
  });

  test('an error without an id leaves the member out', () => {
    expect(utf8(ownError(null, { code: 1, message: '', data: {} }))).toBe(
      '{"jsonrpc":"2.0","error":{"code":1,"message":"","data":{}}}',
    );
  });

  test('are read as what they are', () => {
    expect(read(ownMessage({ id: 5, method: 'ping' })).kind).toBe('request');
    expect(read(ownMessage({ method: 'x', params: {} })).kind).toBe('notification');
    expect(read(ownResult(encode('1'), {})).kind).toBe('result');
    expect(read(ownError(null, { code: 1, message: '' })).kind).toBe('error');
  });
});
