// What collections for short-lived things do is what Map and Set do; whether they keep anything alive, a bench shows.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bag, NumberTable, type Place } from '../../src/domain/collections.ts';

const KEY = fc.oneof(
  fc.nat(40),
  // Beyond 32 bits, and such as share their lower ones.
  fc.nat(40).map((each) => each * 2 ** 32 + (each % 3)),
  fc.maxSafeInteger().map(Math.abs),
);
const STEP = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key: KEY }),
  fc.record({ do: fc.constant('delete' as const), key: KEY }),
  fc.record({ do: fc.constant('clear' as const), key: fc.constant(0) }),
);

test('a table of numbers is a Map, whatever is done to it', () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 300 }), (steps) => {
      const table = new NumberTable<number>();
      const map = new Map<number, number>();
      steps.forEach(({ do: what, key }, index) => {
        if (what === 'set') {
          table.set(key, index);
          map.set(key, index);
        } else if (what === 'delete') {
          expect(table.delete(key)).toBe(map.get(key));
          map.delete(key);
        } else if (index % 50 === 0) {
          table.clear();
          map.clear();
        }
        expect(table.size).toBe(map.size);
        expect(table.get(key)).toBe(map.get(key));
      });
      for (const [key, value] of map) expect(table.get(key)).toBe(value);
      expect(table.values().toSorted((a, b) => a - b)).toEqual([...map.values()].toSorted((a, b) => a - b));
    }),
    { numRuns: 500 },
  );
});

test('a bag is a Set that hands everything over in order, once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 200 }), (steps) => {
      const bag = new Bag<number>();
      const places = new Map<number, Place<number>>();
      const set = new Set<number>();
      for (const item of steps) {
        const place = places.get(item);
        if (place === undefined) {
          places.set(item, bag.add(item));
          set.add(item);
        } else {
          bag.remove(place);
          bag.remove(place);
          places.delete(item);
          set.delete(item);
        }
        expect(bag.size).toBe(set.size);
      }
      const taken: number[] = [];
      bag.takeEach((item) => taken.push(item));
      expect(taken).toEqual([...set]);
      expect(bag.size).toBe(0);
    }),
  );
});

test('what comes into a bag while it is handed over is handed over too, and what is taken out is not', () => {
  const bag = new Bag<string>();
  const taken: string[] = [];
  bag.add('first');
  const second = bag.add('second');

  bag.takeEach((item) => {
    taken.push(item);
    if (item !== 'first') return;
    bag.remove(second);
    bag.add('third');
  });

  expect(taken).toEqual(['first', 'third']);
});
