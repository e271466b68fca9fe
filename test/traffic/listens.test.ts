import { describe, expect, test } from 'vitest';
import { ListensWorld, MAX_BACKLOG, SUBSCRIPTION_ID, toldTo, toolsOf } from './listens-world.ts';

const TOOLS = 'notifications/tools/list_changed';
const OTHER_TOOLS = toolsOf('b');

describe('a listen', () => {
  test('is first told what it will hear, under its own id [F60]', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('"7"', { lists: ['tools'], uris: ['file:///a'] });

    expect(listener.sink.notified).toEqual([
      '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":' +
        `{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]},"_meta":{"${SUBSCRIPTION_ID}":"7"}}}`,
    ]);
    expect(listener.ends).toEqual([]);
    expect(world.listens.count).toBe(1);
  });

  test('is told after that what has changed before [F61]', async () => {
    const world = new ListensWorld();
    const listener = await world.begun('1', { lists: ['tools'], uris: ['a'] });
    world.shows['tools/list'] = OTHER_TOOLS;
    world.says(TOOLS);
    world.updated('a');
    await world.time.advance(25);
    expect(listener.sink.notified).toEqual([]);

    world.listens.acknowledge(listener.listen);
    world.listens.acknowledge(listener.listen);

    expect(listener.sink.notified[0]).toContain('notifications/subscriptions/acknowledged');
    expect(listener.sink.notified.filter((said) => said.includes('acknowledged'))).toHaveLength(1);
    expect(toldTo(listener).toSorted()).toEqual(['resources/updated a', 'tools/list_changed']);
  });

  // Some servers say that their lists have changed whenever a link opens, that of the listen among them.
  test('is not told that a list has changed which nobody has seen before', async () => {
    const world = new ListensWorld();
    const listener = await world.begun('1', { lists: ['tools'] }, world.key(), false);
    world.says(TOOLS);
    await world.time.advance(25);

    world.listens.acknowledge(listener.listen);

    expect(toldTo(listener)).toEqual([]);
  });

  test('is not told of what turned out not to be told by the server [F63]', async () => {
    const world = new ListensWorld();
    const listener = await world.begun('1', { uris: ['a', 'b'] });
    world.updated('a');
    world.updated('b');
    await world.time.advance(25);

    listener.listen.filter = { lists: [], uris: ['b'] };
    world.listens.acknowledge(listener.listen);

    expect(JSON.parse(listener.sink.notified[0] ?? '').params.notifications).toEqual({ resourceSubscriptions: ['b'] });
    expect(toldTo(listener)).toEqual(['resources/updated b']);
  });

  test('is not told anything when its client has left before', async () => {
    const world = new ListensWorld();
    const listener = await world.begun('1', { uris: ['a'] });

    listener.exchange.clientGone();
    world.listens.acknowledge(listener.listen);

    expect(listener.sink).toMatchObject({ notified: [], ends: [], broken: [] });
    expect(world.ended).toEqual([listener.listen]);
  });

  test('ends when its client leaves, and hears nothing more', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'], uris: ['a'] });
    world.says(TOOLS);
    world.updated('a');
    world.shows['tools/list'] = OTHER_TOOLS;

    listener.exchange.clientGone();
    listener.exchange.clientGone();
    await world.time.advance(100);

    expect(world.ended).toEqual([listener.listen]);
    expect([world.listens.count, world.time.pendingCount]).toEqual([0, 0]);
    expect(listener.sink).toMatchObject({ ends: [], broken: [] });
    expect(toldTo(listener)).toEqual([]);
  });
});

describe('a list that has changed', () => {
  test('is fetched and told once, however many links say so within 25 ms [F62]', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });
    world.shows['tools/list'] = OTHER_TOOLS;
    const before = world.fetched.length;

    for (let copy = 0; copy < 41; copy++) expect(world.says(TOOLS)).toBe(true);
    await world.time.advance(24);
    expect(world.says(TOOLS)).toBe(true);
    expect(toldTo(listener)).toEqual([]);
    await world.time.advance(1);

    expect(toldTo(listener)).toEqual(['tools/list_changed']);
    expect(world.fetched.slice(before)).toEqual(['tools/list']);
    expect(world.time.pendingCount).toBe(0);
  });

  test('is told again when it changes again', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });
    for (const name of ['b', 'c', 'd']) {
      world.shows['tools/list'] = toolsOf(name);
      world.says(TOOLS);
      await world.time.advance(25);
    }

    expect(toldTo(listener)).toHaveLength(3);
  });

  // Some servers say it on every link that opens.
  test('is not told when it looks as before', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });

    for (let times = 0; times < 3; times++) {
      world.says(TOOLS);
      await world.time.advance(1000);
    }

    expect(toldTo(listener)).toEqual([]);
    expect(world.fetched.filter((method) => method === 'tools/list')).toHaveLength(4);
  });

  test('is told when it has changed since the listen began, whatever was seen before', async () => {
    const world = new ListensWorld();
    world.shows['tools/list'] = OTHER_TOOLS;
    const first = await world.listening('1', { lists: ['tools'] });
    world.shows['tools/list'] = toolsOf();
    world.says(TOOLS);
    await world.time.advance(25);
    const second = await world.listening('2', { lists: ['tools'] });
    world.says(TOOLS);
    await world.time.advance(25);

    expect([toldTo(first), toldTo(second)]).toEqual([['tools/list_changed'], []]);
  });

  test('is told when it cannot be fetched: it may have changed', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });
    world.shows['tools/list'] = { error: { code: -32603, message: 'x' } };

    world.says(TOOLS);
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual(['tools/list_changed']);
  });

  test('of resources may be that of their templates, and is told once', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['resources'] });
    world.shows['resources/templates/list'] = { result: { resourceTemplates: [{ name: 't', uriTemplate: 'x' }] } };

    world.says('notifications/resources/list_changed');
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual(['resources/list_changed']);
  });

  test('is told to those who want that list, each under its own id [F62]', async () => {
    const world = new ListensWorld();
    const one = await world.listening('1', { lists: ['tools', 'prompts'] });
    const two = await world.listening('"1"', { lists: ['tools'] });
    const none = await world.listening('2', { lists: ['prompts'], uris: ['a'] });
    world.shows['tools/list'] = OTHER_TOOLS;

    world.says(TOOLS);
    await world.time.advance(25);

    const ids = [one, two].map(
      ({ sink }) => JSON.parse(sink.notified[1] ?? '').params._meta[SUBSCRIPTION_ID] as unknown,
    );
    expect(ids).toEqual([1, '1']);
    expect(toldTo(none)).toEqual([]);
  });

  test('is told to the same caller whatever he declares, and to nobody else [F51]', async () => {
    const world = new ListensWorld();
    const same = await world.listening('1', { lists: ['tools'] }, world.key('alice', { roots: {} }));
    const other = await world.listening('2', { lists: ['tools'] }, world.key('bob'));
    world.shows['tools/list'] = OTHER_TOOLS;

    world.says(TOOLS, {}, world.key('alice', { sampling: {} }));
    await world.time.advance(25);

    expect([toldTo(same), toldTo(other)]).toEqual([['tools/list_changed'], []]);
  });

  test('is fetched anew by whoever lists it, before anybody is told', async () => {
    const world = new ListensWorld();
    const catalog = world.catalog();
    await catalog.list('tools/list');
    await catalog.list('prompts/list');
    world.shows['tools/list'] = OTHER_TOOLS;

    expect(world.says(TOOLS)).toBe(false);
    const listed = await catalog.list('tools/list');
    await catalog.list('prompts/list');

    expect(Buffer.from(listed instanceof Error ? [] : listed.bytes).toString()).toContain('"b"');
    expect(world.fetched).toEqual(['tools/list', 'prompts/list', 'tools/list']);
  });

  test('is of no interest where nobody listens: nothing is fetched', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['prompts'] });
    const before = world.fetched.length;

    expect(world.says(TOOLS)).toBe(false);
    await world.time.advance(1000);

    expect(world.fetched).toHaveLength(before);
    expect(toldTo(listener)).toEqual([]);
  });
});

describe('a resource that has changed', () => {
  test.each<[wanted: string, updated: string, isTold: boolean]>([
    ['file:///a', 'file:///a', true],
    ['file:///a', 'file:///a/b', true],
    ['file:///a', 'file:///a/b/c', true],
    ['file:///a/', 'file:///a/b', true],
    ['file:///a', 'file:///ab', false],
    ['file:///a/b', 'file:///a', false],
    ['file:///a/', 'file:///a', false],
    ['file:///a', 'FILE:///a', false],
    ['', 'file:///a', false],
  ])('is told to who wants %s: %s, %s [F62]', async (wanted, updated, isTold) => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { uris: [wanted] });

    expect(world.updated(updated)).toBe(isTold);
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual(isTold ? [`resources/updated ${updated}`] : []);
  });

  test('is told in the words of the upstream, once for all copies within 25 ms [F62]', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { uris: ['a'] });

    for (let copy = 0; copy < 5; copy++) world.updated('a', { title: 'é', _meta: { x: 1 } });
    expect(toldTo(listener)).toEqual([]);
    await world.time.advance(25);
    world.updated('a');
    await world.time.advance(25);

    expect(listener.sink.notified.slice(1)).toEqual([
      `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a","title":"é","_meta":{"${SUBSCRIPTION_ID}":1,"x":1}}}`,
      `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"${SUBSCRIPTION_ID}":1},"uri":"a"}}`,
    ]);
  });

  test('is told apart from others, and to each who wants it [F62]', async () => {
    const world = new ListensWorld();
    const [one, two] = [await world.listening('1', { uris: ['a', 'b'] }), await world.listening('2', { uris: ['b'] })];

    world.updated('a');
    world.updated('b');
    await world.time.advance(25);

    expect(toldTo(one).toSorted()).toEqual(['resources/updated a', 'resources/updated b']);
    expect(toldTo(two)).toEqual(['resources/updated b']);
  });

  test('is told to its caller alone [F51]', async () => {
    const world = new ListensWorld();
    const bob = await world.listening('1', { uris: ['a'] }, world.key('bob'));

    expect(world.updated('a')).toBe(false);
    await world.time.advance(25);

    expect(toldTo(bob)).toEqual([]);
  });

  test('is none without a URI', async () => {
    const world = new ListensWorld();
    await world.listening('1', { uris: [''] });

    expect(world.says('notifications/resources/updated')).toBe(false);
    expect(world.says('notifications/resources/updated', { uri: 7 })).toBe(false);
  });
});

test('nothing else is told on a listen [F65]', async () => {
  const world = new ListensWorld();
  const listener = await world.listening('1', { lists: ['tools', 'prompts', 'resources'], uris: ['a'] });

  for (const method of ['message', 'progress', 'elicitation/complete', 'cancelled', 'roots/list_changed']) {
    expect(world.says(`notifications/${method}`, { uri: 'a' })).toBe(false);
  }
  await world.time.advance(1000);

  expect(toldTo(listener)).toEqual([]);
});

describe('after a loss', () => {
  test('everything that was promised counts as changed, whether it has or not [F67]', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools', 'resources'], uris: ['a', 'b'] });

    world.listens.resumed(world.catalog());
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual([
      'resources/updated a',
      'resources/updated b',
      'tools/list_changed',
      'resources/list_changed',
    ]);
    const last = JSON.parse(listener.sink.notified.at(-1) ?? '');
    expect(last.params).toEqual({ _meta: { [SUBSCRIPTION_ID]: 1 } });
  });

  test('those hear of it whose links were lost [F67]', async () => {
    const world = new ListensWorld();
    const roots = world.key('alice', { roots: {} });
    const [one, other] = [
      await world.listening('1', { lists: ['tools'], uris: ['a'] }),
      await world.listening('2', { lists: ['tools'], uris: ['a'] }, roots),
    ];

    world.listens.resumed(world.catalog(roots));
    await world.time.advance(25);

    expect([toldTo(one).length, toldTo(other).length]).toEqual([0, 2]);
  });

  // Every list was fetched after a loss, though nobody was to hear of it.
  test('no list is fetched that nobody listens to', async () => {
    const world = new ListensWorld();
    await world.listening('1', { uris: ['a'] });
    await world.listening('2', { lists: ['prompts'] }, world.key('alice', { roots: {} }));
    const before = world.fetched.length;
    world.catalog().becameStale();

    world.listens.resumed(world.catalog());
    await world.time.advance(1000);

    expect(world.fetched).toHaveLength(before);
    expect(world.time.pendingCount).toBe(0);
  });
});

describe('a listen that moves to other links', () => {
  const FULL = { roots: {}, sampling: {}, elicitation: {} };

  test('is told of changes there, and its client’s lists are what they are compared with', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });
    const key = world.key('everybody', FULL);
    world.listens.moved(listener.listen, key, world.catalog(key));
    await world.time.advance(25);
    expect(toldTo(listener)).toEqual([]);

    world.shows['tools/list'] = OTHER_TOOLS;
    world.says(TOOLS, {}, key);
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual(['tools/list_changed']);
  });

  test('is told when the list is another one there, or was about to be compared', async () => {
    const world = new ListensWorld();
    const listener = await world.listening('1', { lists: ['tools'] });
    const key = world.key('everybody', FULL);
    world.shows['tools/list'] = OTHER_TOOLS;
    world.says(TOOLS);

    world.listens.moved(listener.listen, key, world.catalog(key));
    await world.time.advance(25);

    expect(toldTo(listener)).toEqual(['tools/list_changed']);
    expect(world.time.pendingCount).toBe(0);
  });
});

describe('when the gateway stops', () => {
  test('every listen ends with its result, under its own id [F64]', async () => {
    const world = new ListensWorld();
    const all = [await world.listening('7', { lists: ['tools'] }), await world.listening('"7"', { uris: ['a'] })];
    world.says(TOOLS);
    world.updated('a');

    world.listens.endAll();
    world.listens.endAll();
    await world.time.advance(1000);

    expect(all.map(({ sink }) => sink.json as unknown)).toEqual(
      [7, '7'].map((id) => ({
        jsonrpc: '2.0',
        id,
        result: { resultType: 'complete', _meta: { [SUBSCRIPTION_ID]: id } },
      })),
    );
    for (const { sink, ends } of all) {
      expect(sink).toMatchObject({ ends: ['finish'], broken: [] });
      expect(ends).toMatchObject([{ outcome: 'result', streamed: true }]);
    }
    expect(world.ended).toEqual(all.map(({ listen }) => listen));
    expect([world.listens.count, world.time.pendingCount]).toEqual([0, 0]);
  });

  // Nothing may come before its first message, the result that would be a good end included.
  test('a listen that has not been told anything, or begins after that, is refused [F60]', async () => {
    const world = new ListensWorld();
    const early = await world.begun('1', { uris: ['a'] });
    world.listens.endAll();
    const late = await world.begun('2', { uris: ['a'] });
    for (const { listen } of [early, late]) world.listens.acknowledge(listen);

    for (const { sink, ends } of [early, late]) {
      expect(sink).toMatchObject({ ends: ['finish'], notified: [], broken: [] });
      expect(ends).toMatchObject([{ outcome: 'failed', reason: 'draining', status: 503 }]);
    }
    expect(world.ended).toEqual([early.listen, late.listen]);
  });

  test('the end of a connection after that is no second end', async () => {
    const world = new ListensWorld();
    const { exchange } = await world.listening('7', {});
    world.listens.endAll();

    exchange.clientGone();

    expect(world.ended).toHaveLength(1);
  });
});

describe('a client that does not read', () => {
  test('loses its listen, and the others go on', async () => {
    const world = new ListensWorld();
    const [slow, quick] = [await world.listening('1', { uris: ['a'] }), await world.listening('2', { uris: ['a'] })];
    slow.sink.backlogBytes = MAX_BACKLOG + 1;

    world.updated('a');
    await world.time.advance(25);
    world.updated('a');
    await world.time.advance(25);

    expect(slow.ends).toMatchObject([{ outcome: 'failed', reason: 'slow_reader' }]);
    expect(slow.sink.broken).toEqual([]);
    expect(world.ended).toEqual([slow.listen]);
    expect(toldTo(quick)).toHaveLength(2);
  });

  test('may let as much wait as is allowed', async () => {
    const world = new ListensWorld();
    const slow = await world.listening('1', { uris: ['a'] });
    slow.sink.backlogBytes = MAX_BACKLOG;

    world.updated('a');
    await world.time.advance(25);

    expect(slow.ends).toEqual([]);
  });
});
