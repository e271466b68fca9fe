import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOG_LEVELS, type LogLevel } from '../../src/protocol/log-level.ts';
import { SharedWants, type Telling, Told, Wants } from '../../src/traffic/wants.ts';

const ALL = { logging: true, subscribe: true };

function wants(shared: SharedWants, level: LogLevel | null, ...uris: string[]): Wants {
  const made = new Wants(shared);
  if (level !== null) made.setLevel(level);
  for (const uri of uris) made.subscribe(uri);
  return made;
}

/** What one session wants that is alone on its link. */
const own = (level: LogLevel | null, ...uris: string[]): Wants => wants(new SharedWants(), level, ...uris);

/** `setLevel debug`, `subscribe a`: short for what is sent. */
function said(tellings: readonly Telling[]): string[] {
  return tellings.map(({ method, params }) => [method.split('/')[1], ...Object.values(params)].join(' '));
}

describe('what one session wants', () => {
  test('is a level and some resources, none of them at first', () => {
    const alice = own(null);
    expect([alice.level, alice.uris.size]).toEqual([null, 0]);

    alice.setLevel('error');
    alice.setLevel('debug');
    alice.subscribe('a');
    alice.subscribe('b');
    alice.subscribe('a');
    alice.unsubscribe('b');
    alice.unsubscribe('never');

    expect([alice.level, [...alice.uris]]).toEqual(['debug', ['a']]);
  });

  test('has another version after every change, and the same where nothing changed', () => {
    const alice = own(null);
    const versions = [alice.version];

    for (const change of [() => alice.setLevel('info'), () => alice.subscribe('a'), () => alice.unsubscribe('a')]) {
      change();
      versions.push(alice.version);
    }
    alice.unsubscribe('a');

    expect(new Set(versions).size).toBe(4);
    expect(alice.version).toBe(versions[3]);
  });

  test('is nothing once it is over, and no part of what is wanted together', () => {
    const shared = new SharedWants();
    const alice = wants(shared, 'debug', 'a', 'b');

    alice.end();
    alice.end();

    expect([alice.level, alice.uris.size, shared.level, shared.uris.size]).toEqual([null, 0, null, 0]);
  });
});

describe('what all who share a link want', () => {
  test('is the most verbose level, and every resource that any of them wants [G19]', () => {
    const shared = new SharedWants();
    expect([shared.level, shared.uris.size]).toEqual([null, 0]);
    wants(shared, 'error', 'a');
    wants(shared, null, 'a', 'b');
    wants(shared, 'info');

    expect(shared.level).toBe('info');
    expect([...shared.uris].toSorted()).toEqual(['a', 'b']);
    expect(['a', 'b', 'c'].map((uri) => shared.uris.has(uri))).toEqual([true, true, false]);
  });

  test('is less when one of them is over, but for what another wants too [G19]', () => {
    const shared = new SharedWants();
    const [alice, bob] = [wants(shared, 'debug', 'a', 'b'), wants(shared, 'warning', 'b')];

    alice.end();
    expect([shared.level, [...shared.uris]]).toEqual(['warning', ['b']]);
    bob.end();

    expect([shared.level, shared.uris.size]).toEqual([null, 0]);
  });

  test('is still wanted by one who wanted it twice and not any more, if another does [G20]', () => {
    const shared = new SharedWants();
    const [alice, bob] = [wants(shared, 'debug', 'a', 'a'), wants(shared, 'debug', 'a')];

    alice.unsubscribe('a');
    alice.setLevel('error');
    expect([shared.level, [...shared.uris]]).toEqual(['debug', ['a']]);
    bob.unsubscribe('a');
    bob.unsubscribe('a');
    bob.setLevel('alert');

    expect([shared.level, shared.uris.size]).toEqual(['error', 0]);
  });

  test('has another version whenever a session changes what it wants', () => {
    const shared = new SharedWants();
    const alice = wants(shared, null);
    const versions = [shared.version];
    for (const change of [() => alice.setLevel('info'), () => alice.subscribe('a'), () => alice.end()]) {
      change();
      versions.push(shared.version);
    }

    expect(new Set(versions).size).toBe(4);
  });
});

describe('what a link has not been told yet', () => {
  test('is all of it on a new link [G16]', () => {
    expect(said(new Told().missing(own('warning', 'a', 'b'), ALL))).toEqual([
      'setLevel warning',
      'subscribe a',
      'subscribe b',
    ]);
  });

  test('is nothing where nothing is wanted', () => {
    expect(new Told().missing(own(null), ALL)).toEqual([]);
  });

  test('is nothing that the upstream does not offer [G19 G20]', () => {
    const offers = [
      { logging: false, subscribe: false },
      { logging: true, subscribe: false },
      { logging: false, subscribe: true },
    ];

    expect(offers.map((each) => said(new Told().missing(own('warning', 'a'), each)))).toEqual([
      [],
      ['setLevel warning'],
      ['subscribe a'],
    ]);
  });

  test('is only what has changed', () => {
    const [told, alice] = [new Told(), own('warning', 'a', 'b')];
    told.missing(alice, ALL);
    expect(told.missing(alice, ALL)).toEqual([]);

    alice.setLevel('debug');
    alice.unsubscribe('a');
    alice.subscribe('c');

    expect(said(told.missing(alice, ALL))).toEqual(['setLevel debug', 'subscribe c', 'unsubscribe a']);
  });

  test('is nothing where it changed forth and back', () => {
    const [told, alice] = [new Told(), own('warning', 'a')];
    told.missing(alice, ALL);

    alice.setLevel('debug');
    alice.setLevel('warning');
    alice.unsubscribe('a');
    alice.subscribe('a');

    expect(told.missing(alice, ALL)).toEqual([]);
  });

  test('is no level where nobody wants one any more: there is no way to say that', () => {
    const [told, shared] = [new Told(), new SharedWants()];
    const alice = wants(shared, 'debug', 'a');
    told.missing(shared, ALL);

    alice.end();
    expect(said(told.missing(shared, ALL))).toEqual(['unsubscribe a']);
    wants(shared, 'error');

    expect(said(told.missing(shared, ALL))).toEqual(['setLevel error']);
  });

  test('is not what a session’s own request has said', () => {
    const [told, alice] = [new Told(), own('warning', 'a')];
    told.noteLevel('warning');
    told.noteSubscribed('a');
    expect(told.missing(alice, ALL)).toEqual([]);

    alice.unsubscribe('a');
    told.noteUnsubscribed('a');

    expect(told.missing(alice, ALL)).toEqual([]);
  });

  test('is looked at again for other wants, though these have the same version', () => {
    const told = new Told();
    const [alice, bob] = [own('error'), own('debug')];
    expect(alice.version).toBe(bob.version);
    told.missing(alice, ALL);

    expect(said(told.missing(bob, ALL))).toEqual(['setLevel debug']);
    expect(said(told.missing(alice, ALL))).toEqual(['setLevel error']);
  });

  test('goes from one union to the next: whatever sessions do, the link ends with what they want together', () => {
    const uri = fc.constantFrom('a', 'b', 'c', 'd');
    const event = fc.oneof(
      { weight: 1, arbitrary: fc.record({ who: fc.nat(2), does: fc.constant('end' as const) }) },
      {
        weight: 4,
        arbitrary: fc.record({
          who: fc.nat(2),
          does: fc.constantFrom('subscribe' as const, 'unsubscribe' as const),
          uri,
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          who: fc.nat(2),
          does: fc.constant('level' as const),
          level: fc.constantFrom(...LOG_LEVELS),
        }),
      },
      { weight: 2, arbitrary: fc.record({ does: fc.constant('tell' as const) }) },
    );

    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const shared = new SharedWants();
        const sessions = [0, 1, 2].map(() => new Wants(shared));
        const told = new Told();
        const upstream = { level: null as unknown, uris: new Set<unknown>() };
        const tell = (): void => {
          for (const { method, params } of told.missing(shared, ALL)) {
            const [value] = Object.values(params) as unknown[];
            if (method === 'logging/setLevel') {
              expect(value).not.toBe(upstream.level);
              upstream.level = value;
            } else if (method === 'resources/subscribe') {
              expect(upstream.uris.has(value)).toBe(false);
              upstream.uris.add(value);
            } else {
              expect(upstream.uris.delete(value)).toBe(true);
            }
          }
        };
        for (const next of events) {
          const session = 'who' in next ? sessions[next.who] : undefined;
          if (next.does === 'tell') tell();
          else if (next.does === 'end') session?.end();
          else if (next.does === 'level') session?.setLevel(next.level);
          else if (next.does === 'subscribe') session?.subscribe(next.uri);
          else session?.unsubscribe(next.uri);
        }
        tell();

        const levels = sessions.flatMap(({ level }) => (level === null ? [] : [LOG_LEVELS.indexOf(level)]));
        expect(upstream.uris).toEqual(new Set(sessions.flatMap(({ uris }) => [...uris])));
        if (levels.length > 0) expect(upstream.level).toBe(LOG_LEVELS[Math.min(...levels)]);
        expect(shared.uris.size).toBe(upstream.uris.size);
      }),
      { numRuns: 2000 },
    );
  });
});
