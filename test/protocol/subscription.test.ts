import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../../src/protocol/json-rpc.ts';
import {
  type SubscriptionFilter,
  acknowledged,
  changedList,
  honoured,
  listChanged,
  listenResult,
  readFilter,
  resourceUpdated,
  tagged,
} from '../../src/protocol/subscription.ts';
import { LIST_KINDS, type ServerOffers } from '../../src/protocol/upstream-handshake.ts';
import { rawMember, rawObject, rawValue, space, stranger } from './raw-objects.ts';
import { read, readAs, textOfChunks } from './read.ts';
import { type Tree, sameBut, treeOf } from './two-readers.ts';

const KEY = 'io.modelcontextprotocol/subscriptionId';
const IDS = ['7', '"7"', '"\\u0061"', '-3', '12345678901234567890'];

const filterOf = (params: string): SubscriptionFilter | { readonly fault: string } =>
  readFilter(readAs('request', `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"${params}}`));
const asked = (notifications: string): ReturnType<typeof filterOf> =>
  filterOf(`,"params":{"notifications":${notifications}}`);

describe('a listen asks for', () => {
  test.each<[notifications: string, filter: SubscriptionFilter]>([
    ['{}', { lists: [], uris: [] }],
    ['{"toolsListChanged":true}', { lists: ['tools'], uris: [] }],
    ['{"promptsListChanged":true}', { lists: ['prompts'], uris: [] }],
    ['{"resourcesListChanged":true}', { lists: ['resources'], uris: [] }],
    ['{"toolsListChanged":false,"promptsListChanged":true}', { lists: ['prompts'], uris: [] }],
    [
      '{"resourcesListChanged":true,"toolsListChanged":true,"promptsListChanged":true}',
      { lists: ['tools', 'prompts', 'resources'], uris: [] },
    ],
    ['{"resourceSubscriptions":[]}', { lists: [], uris: [] }],
    ['{"resourceSubscriptions":["b","a","b"]}', { lists: [], uris: ['b', 'a'] }],
    ['{"resourceSubscriptions":["\\u0061"," "]}', { lists: [], uris: ['a', ' '] }],
    ['{"t\\u006folsListChanged":true}', { lists: ['tools'], uris: [] }],
  ])('%s [F62]', (notifications, filter) => {
    expect(asked(notifications)).toEqual(filter);
  });

  test.each(['{"taskIds":["t"]}', '{"x":1}', '{"__proto__":{"toolsListChanged":true}}', '{"ToolsListChanged":true}'])(
    'nothing that is known here: %s [F69]',
    (notifications) => {
      expect(asked(notifications)).toEqual({ lists: [], uris: [] });
    },
  );

  test.each<[params: string, named: string]>([
    ['', 'notifications'],
    [',"params":{}', 'notifications'],
    [',"params":{"notifications":null}', 'notifications'],
    [',"params":{"notifications":[]}', 'notifications'],
    [',"params":{"notifications":"tools"}', 'notifications'],
    [',"params":{"notifications":{},"notifications":{"toolsListChanged":true}}', 'notifications'],
    [',"params":{"notifications":{"toolsListChanged":1}}', 'toolsListChanged'],
    [',"params":{"notifications":{"promptsListChanged":"true"}}', 'promptsListChanged'],
    [',"params":{"notifications":{"resourcesListChanged":null}}', 'resourcesListChanged'],
    [',"params":{"notifications":{"resourceSubscriptions":"a"}}', 'resourceSubscriptions'],
    [',"params":{"notifications":{"resourceSubscriptions":{}}}', 'resourceSubscriptions'],
    [',"params":{"notifications":{"resourceSubscriptions":["a",1]}}', 'resourceSubscriptions'],
  ])('nothing that could be told: %s [F68]', (params, named) => {
    const filter = filterOf(params);

    expect('fault' in filter ? filter.fault : null).toContain(named);
  });
});

describe('what of it can be told', () => {
  const offers = (listChanges: ServerOffers['listChanges'], subscribe: boolean): ServerOffers => ({
    logging: true,
    completions: true,
    subscribe,
    lists: LIST_KINDS,
    listChanges,
    identity: '',
  });
  const wish: SubscriptionFilter = { lists: ['tools', 'resources'], uris: ['a', 'b'] };

  test('is what the server has said that it tells [F63]', () => {
    expect(honoured(wish, offers(LIST_KINDS, true))).toEqual(wish);
    expect(honoured(wish, offers(['tools', 'prompts'], true))).toEqual({ lists: ['tools'], uris: ['a', 'b'] });
    expect(honoured(wish, offers(['resources'], false))).toEqual({ lists: ['resources'], uris: [] });
    expect(honoured(wish, offers([], false))).toEqual({ lists: [], uris: [] });
  });

  test('is never more than what was asked for [F62]', () => {
    expect(honoured({ lists: [], uris: [] }, offers(LIST_KINDS, true))).toEqual({ lists: [], uris: [] });
  });
});

describe('what we say ourselves is tagged with the client’s own bytes', () => {
  const message = (method: string, params: string): string =>
    `{"jsonrpc":"2.0","method":"notifications/${method}","params":{${params}}}`;
  const meta = (id: string): string => `"_meta":{"${KEY}":${id}}`;

  test.each(IDS)('id %s [F60 F62]', (id) => {
    const bytes = encode(id);

    expect(textOfChunks(acknowledged(bytes, { lists: [], uris: [] }))).toBe(
      message('subscriptions/acknowledged', `"notifications":{},${meta(id)}`),
    );
    expect(textOfChunks(acknowledged(bytes, { lists: ['tools', 'resources'], uris: ['a"', 'é'] }))).toBe(
      message(
        'subscriptions/acknowledged',
        `"notifications":{"toolsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a\\"","é"]},${meta(id)}`,
      ),
    );
    for (const kind of LIST_KINDS) {
      expect(textOfChunks(listChanged(kind, bytes))).toBe(message(`${kind}/list_changed`, meta(id)));
    }
    expect(textOfChunks(resourceUpdated('a"é', bytes))).toBe(message('resources/updated', `"uri":"a\\"é",${meta(id)}`));
    expect(textOfChunks([listenResult(bytes)])).toBe(`{"resultType":"complete",${meta(id)}}`);
  });
});

test('a list that has changed is told by its method alone', () => {
  expect(LIST_KINDS.map((kind) => changedList(`notifications/${kind}/list_changed`))).toEqual(LIST_KINDS);
  for (const method of ['notifications/roots/list_changed', 'notifications/resources/updated', 'tools/list_changed']) {
    expect(changedList(method)).toBeNull();
  }
});

describe('an upstream’s notification is tagged', () => {
  const as = (params: string, id = '7'): string =>
    textOfChunks(
      tagged(readAs('notification', `{"jsonrpc":"2.0", "method":"x\\u002fy"${params} ,"z":1.0}`), encode(id)),
    );
  const whole = (params: string): string => `{"jsonrpc":"2.0", "method":"x\\u002fy","params":${params} ,"z":1.0}`;
  const tag = `"${KEY}":7`;

  test.each<[what: string, params: string, after: string]>([
    ['empty params', '{}', `{"_meta":{${tag}}}`],
    ['params', '{"uri":"a"}', `{"_meta":{${tag}},"uri":"a"}`],
    ['params in space', '{ "uri" : 1.0 }', `{"_meta":{${tag}}, "uri" : 1.0 }`],
    ['params of nothing but space', '{ \n}', `{"_meta":{${tag}} \n}`],
    ['an empty _meta', '{"_meta":{}}', `{"_meta":{${tag}}}`],
    ['a _meta', '{"_meta":{"a":1.0},"uri":"a"}', `{"_meta":{${tag},"a":1.0},"uri":"a"}`],
    ['a _meta in space', '{"_meta":{ "a":1 }}', `{"_meta":{${tag}, "a":1 }}`],
    ['a tag of its own', `{"_meta":{"${KEY}":"x"}}`, `{"_meta":{${tag}}}`],
    ['a tag of its own first', `{"_meta":{"${KEY}":"x", "a":1}}`, `{"_meta":{${tag},"a":1}}`],
    ['a tag of its own last', `{"_meta":{"a":1,"${KEY}":"x"}}`, `{"_meta":{${tag},"a":1}}`],
    ['a tag in escapes', `{"_meta":{"${KEY.replace('o', '\\u006f')}":"x"}}`, `{"_meta":{${tag}}}`],
    ['a _meta that is null', '{"_meta":null}', `{"_meta":{${tag}}}`],
    ['a _meta that is none, and more', '{"a":1,"_meta":[],"b":2}', `{"_meta":{${tag}},"a":1,"b":2}`],
    ['a _meta that is none first', '{ "_meta":7 ,"b":2}', `{"_meta":{${tag}}, "b":2}`],
  ])('with %s [F62]', (_what, params, after) => {
    expect(as(`,"params":${params}`)).toBe(whole(after));
  });

  test('also where it has no params [F62]', () => {
    const message = readAs('notification', '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');

    expect(textOfChunks(tagged(message, encode('7')))).toBe(
      `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{${tag}}}}`,
    );
  });

  test('with each listener’s own id, and stays what it is [F62]', () => {
    const message = readAs('notification', '{"jsonrpc":"2.0","method":"x","params":{"_meta":{}}}');
    const before = Buffer.from(message.bytes).toString();

    const [one, two] = [tagged(message, encode('1')), tagged(message, encode('"1"'))].map(textOfChunks);

    expect([one, two]).toEqual([
      `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"${KEY}":1}}}`,
      `{"jsonrpc":"2.0","method":"x","params":{"_meta":{"${KEY}":"1"}}}`,
    ]);
    expect(Buffer.from(message.bytes).toString()).toBe(before);
  });

  test('and every reader finds the tag, once, and everything else as it was', () => {
    const meta = rawObject(fc.oneof(stranger, rawMember(fc.constant(KEY)))).map(({ text }) => text);
    const asMeta = rawMember(fc.constant('_meta'), fc.oneof(meta, meta, rawValue));
    const params = rawObject(fc.oneof(stranger, stranger, asMeta), 6);
    let count = 0;

    fc.assert(
      fc.property(params, space, fc.constantFrom(...IDS), ({ text }, gap, id) => {
        const before = `{"jsonrpc":"2.0",${gap}"method":"x","params"${gap}:${text}${gap}}`;
        const message = read(before);
        // What we read is never given twice.
        fc.pre(message.kind === 'notification');
        const after = textOfChunks(tagged(message, encode(id)));
        count++;

        for (const wins of ['first', 'last'] as const) {
          const [was, is] = [treeOf(before, wins), treeOf(after, wins)];
          const given = member(member(was, 'params'), '_meta');
          const instead = new Map(given instanceof Map ? given : []).set(KEY, treeOf(id, wins));
          const inParams = new Map(asMap(member(was, 'params'))).set('_meta', instead);
          expect(sameBut(was, is, [{ path: ['params'], instead: inParams }])).toBe(true);
        }
        expect(read(after).kind).toBe('notification');
      }),
      { numRuns: 3000 },
    );
    expect(count).toBeGreaterThan(1000);
  });
});

function member(tree: Tree | undefined, name: string): Tree | undefined {
  return tree instanceof Map ? tree.get(name) : undefined;
}

function asMap(tree: Tree | undefined): Map<string, Tree> {
  if (tree instanceof Map) return tree;
  throw new Error('no object');
}
