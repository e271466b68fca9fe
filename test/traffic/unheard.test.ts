import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Chunks } from '../../src/domain/ports.ts';
import { encode } from '../../src/protocol/json-rpc.ts';
import { Unheard } from '../../src/traffic/unheard.ts';
import { text } from '../bridge/recorded.ts';
import { VirtualTime } from '../support/virtual-time.ts';

function opened(maxBytes = 1000, inAll = 1e9, maxAgeMs = 60_000) {
  const time = new VirtualTime();
  const lost: (string | null)[] = [];
  let held = 0;
  const unheard = new Unheard<string>({
    timers: time,
    clock: time,
    maxBytes,
    maxAgeMs,
    hold: (bytes) => {
      if (bytes > 0 && held + bytes > inAll) return false;
      held += bytes;
      return true;
    },
    onLost: (question) => lost.push(question),
  });
  /** A message of its name, and of so many bytes; a question goes by its own. */
  const add = (name: string, { question = null as string | null, bytes = name.length } = {}): void =>
    unheard.add([encode(name.padEnd(bytes))], question);
  const ask = (name: string, bytes = name.length): void => add(name, { question: name, bytes });
  /** What is handed over, while it is taken. */
  const heard = (isTaken: (name: string) => boolean = () => true): string[] => {
    const names: string[] = [];
    unheard.retry((message: Chunks, question) => {
      const name = text(message).trim();
      if (question !== null) expect(question).toBe(name);
      if (!isTaken(name)) return false;
      names.push(name);
      return true;
    });
    return names;
  };
  return { time, lost, unheard, add, ask, heard, held: () => held };
}

describe('what nobody could hear', () => {
  test('is handed over in its order, once', () => {
    const { add, ask, heard, unheard, time } = opened();
    add('first');
    ask('second');
    add('third');

    expect(heard()).toEqual(['first', 'second', 'third']);
    expect(heard()).toEqual([]);
    expect(unheard.size).toBe(0);
    expect(time.pendingCount).toBe(0);
  });

  test('stays where it is from the first on that is not taken', () => {
    const { add, heard } = opened();
    for (const name of ['first', 'second', 'third']) add(name);

    expect(heard((name) => name !== 'second')).toEqual(['first']);
    expect(heard(() => false)).toEqual([]);

    expect(heard()).toEqual(['second', 'third']);
  });

  test('is whole, in however many pieces it came', () => {
    const { unheard, heard } = opened();

    unheard.add([encode('a'), encode('b')], null);

    expect(heard()).toEqual(['ab']);
  });

  test('is a copy: a few bytes must not keep alive all that was read together with them', () => {
    const { unheard } = opened();
    const chunk = encode('{"n":1}'.padEnd(65_536));
    unheard.add([chunk.subarray(0, 4), chunk.subarray(4, 7)], null);

    unheard.retry((message) => {
      expect(text(message)).toBe('{"n":1}');
      for (const piece of message) expect(piece.buffer.byteLength).toBeLessThan(1000);
      return true;
    });
  });

  test('is kept for as long as an event is, if it is no question', () => {
    const { time, add, lost, unheard, heard } = opened();
    add('first');
    time.advanceSync(30_000);
    add('second');

    time.advanceSync(30_000);
    unheard.purge();
    expect(lost).toEqual([]);
    time.advanceSync(1);
    unheard.purge();

    expect(lost).toEqual([null]);
    expect(heard()).toEqual(['second']);
  });

  test('is looked at whenever something comes: what is too old makes room', () => {
    const { time, add, lost, heard } = opened();
    add('first');
    time.advanceSync(60_001);

    add('second');

    expect(lost).toEqual([null]);
    expect(heard()).toEqual(['second']);
  });

  test('is forgotten at the end of the session, with nobody told', () => {
    const { time, add, ask, lost, unheard } = opened();
    add('a');
    ask('b');

    unheard.end();
    time.advanceSync(60_000);

    expect(lost).toEqual([]);
    expect(unheard.size).toBe(0);
    expect(time.pendingCount).toBe(0);
  });
});

describe('a question', () => {
  test('waits for 10 seconds: a tool hangs on it', () => {
    const { time, ask, add, lost, heard } = opened();
    add('before');
    ask('q');
    time.advanceSync(5000);
    ask('later');

    time.advanceSync(4999);
    expect(lost).toEqual([]);
    time.advanceSync(1);
    expect(lost).toEqual(['q']);

    expect(heard()).toEqual(['before', 'later']);
    time.advanceSync(60_000);
    expect(lost).toEqual(['q']);
  });

  test('waits for so long though notifications are kept for less', () => {
    const { time, ask, unheard, lost, heard } = opened(1000, 1e9, 1000);
    ask('q');

    time.advanceSync(9999);
    unheard.purge();

    expect(lost).toEqual([]);
    expect(heard()).toEqual(['q']);
  });

  test('that was handed over is not lost any more', () => {
    const { time, ask, lost, heard } = opened();
    ask('q');
    heard();

    time.advanceSync(60_000);

    expect(lost).toEqual([]);
  });

  test('can be taken back, as long as it is here', () => {
    const { time, ask, add, lost, unheard, heard } = opened();
    ask('q');
    add('other');

    expect(unheard.remove('q')).toBe(true);
    expect(unheard.remove('q')).toBe(false);
    expect(unheard.remove('unknown')).toBe(false);
    time.advanceSync(60_000);

    expect(lost).toEqual([]);
    expect(heard()).toEqual(['other']);
    expect(unheard.remove('q')).toBe(false);
  });
});

describe('there is room', () => {
  test('for 100 messages: beyond them the oldest notification goes, and is counted', () => {
    const { add, lost, heard } = opened(1e6);
    for (let count = 1; count <= 102; count++) add(`n${count}`);

    expect(lost).toEqual([null, null]);
    expect(heard()[0]).toBe('n3');
  });

  test('for so many bytes', () => {
    const { add, lost, heard } = opened(1000);
    add('a', { bytes: 400 });
    add('b', { bytes: 400 });
    add('c', { bytes: 200 });
    expect(lost).toEqual([]);
    add('d', { bytes: 401 });

    expect(lost).toEqual([null, null]);
    expect(heard()).toEqual(['c', 'd']);
  });

  test('and for one message of any size', () => {
    const { add, lost, heard } = opened(1000);
    add('small');
    add('huge', { bytes: 100_000 });

    expect(lost).toEqual([null]);
    expect(heard()).toEqual(['huge']);
  });

  test('notifications go before questions, however young they are', () => {
    const { add, ask, lost, heard } = opened(1000);
    ask('q', 600);
    add('n', { bytes: 600 });

    expect(lost).toEqual([null]);
    expect(heard()).toEqual(['q']);
  });

  test('then the oldest question, which is told at once', () => {
    const { ask, lost, time } = opened(1e6);
    for (let count = 1; count <= 101; count++) ask(`q${count}`);

    expect(lost).toEqual(['q1']);
    expect(time.pendingCount).toBe(100);
  });
});

describe('its bytes count among those of all sessions', () => {
  test('as long as they are here', () => {
    const { time, add, ask, heard, unheard, held } = opened();
    add('a', { bytes: 100 });
    ask('b', 50);
    ask('c', 25);
    ask('d', 10);
    add('e', { bytes: 5 });
    expect(held()).toBe(190);

    expect(heard((name) => name === 'a')).toEqual(['a']);
    expect(held()).toBe(90);
    unheard.remove('b');
    expect(held()).toBe(40);
    time.advanceSync(10_000);
    expect(held()).toBe(5);
    unheard.end();

    expect(held()).toBe(0);
  });

  test('and what there is no room for is lost at once, and leaves no timer', () => {
    const { time, add, ask, lost, heard, held } = opened(1000, 100);
    add('a', { bytes: 60 });
    add('b', { bytes: 60 });
    ask('q', 60);

    expect(lost).toEqual([null, 'q']);
    expect([heard(), held(), time.pendingCount]).toEqual([['a'], 0, 0]);
  });
});

test('whatever comes, each message is heard, lost, taken back or still here, and within the bounds', () => {
  const event = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('add' as const), bytes: fc.integer({ min: 10, max: 400 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('ask' as const), bytes: fc.integer({ min: 10, max: 400 }) }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('hear' as const), upTo: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('remove' as const), which: fc.nat(50) }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.nat(6000) }) },
  );

  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const { time, lost, unheard, add, ask, heard, held } = opened(1000, 1500);
      const questions: { readonly name: string; readonly at: number }[] = [];
      let [added, gone] = [0, 0];
      const names: string[] = [];
      for (const next of events) {
        if (next.does === 'add') add(`n${added++}`, { bytes: next.bytes });
        else if (next.does === 'ask') {
          questions.push({ name: `n${added}`, at: time.now() });
          ask(`n${added++}`, next.bytes);
        } else if (next.does === 'hear') {
          let left = next.upTo;
          names.push(...heard(() => left-- > 0));
        } else if (next.does === 'pass') time.advanceSync(next.ms);
        else if (unheard.remove(questions[next.which % Math.max(1, questions.length)]?.name ?? '')) gone++;

        expect(names.length + lost.length + gone + unheard.size).toBe(added);
      }
      const waiting = heard();
      for (const { name, at } of questions) {
        if (waiting.includes(name)) expect(time.now() - at).toBeLessThan(10_000);
      }
      const order = [...names, ...waiting].map((name) => Number(name.slice(1)));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect([time.pendingCount, held()]).toEqual([0, 0]);
    }),
    { numRuns: 1000 },
  );
});
