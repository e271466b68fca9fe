import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CallIds, Correlation, ownId } from '../../src/bridge/correlation.ts';
import { CALL_ID_LIMIT, callId, linkId } from '../../src/domain/ids.ts';
import { answerOf } from './recorded.ts';

const LINK = linkId(1);
const OTHER = linkId(2);

function read(idText: string): number | null {
  const bytes = Buffer.from(idText);
  const kind = idText.startsWith('"') ? 'string' : /^-?\d+$/.test(idText) ? 'integer' : 'number';
  return ownId(bytes, { start: 0, end: bytes.length, kind });
}

describe('ids of ours', () => {
  test('are never repeated, over all links [G5]', () => {
    const ids = new CallIds(0.5);
    const issued = Array.from({ length: 200_000 }, (_, index) => ids.issue(index % 3 === 0 ? LINK : OTHER));

    expect(new Set(issued).size).toBe(issued.length);
  });

  test('are positive integers below 2^40, wherever they start', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (fraction) => {
        const ids = new CallIds(fraction);
        for (let count = 0; count < 5; count++) {
          const id = ids.issue(LINK);
          expect(Number.isInteger(id) && id > 0 && id < CALL_ID_LIMIT / 2 + 10).toBe(true);
          expect(read(String(id))).toBe(id);
          expect(read(`"${id}"`)).toBe(id);
        }
      }),
    );
  });

  test('of two processes are far apart', () => {
    expect(Math.abs(new CallIds(0.25).issue(LINK) - new CallIds(0.75).issue(LINK))).toBeGreaterThan(1e9);
  });

  test('remember for which link they were issued', () => {
    const ids = new CallIds(0.1);
    const first = ids.issue(LINK);
    const second = ids.issue(OTHER);

    expect(ids.issuedFor(first)).toBe(LINK);
    expect(ids.issuedFor(second)).toBe(OTHER);
    expect(ids.issuedFor(second + 1)).toBeNull();
    expect(ids.issuedFor(first - 1)).toBeNull();
    expect(ids.issuedFor(0)).toBeNull();
  });

  test('are forgotten after 16,384 more, and the memory never says something wrong', () => {
    const ids = new CallIds(0.1);
    const first = ids.issue(LINK);
    for (let count = 1; count < 16_384; count++) ids.issue(OTHER);

    expect(ids.issuedFor(first)).toBe(LINK);
    const successor = ids.issue(OTHER);
    expect(ids.issuedFor(first)).toBeNull();
    expect(ids.issuedFor(successor)).toBe(OTHER);
  });

  test('without anything issued there is nothing to remember', () => {
    const ids = new CallIds(0);

    for (const id of [0, 1, 2, 16_383, 16_384, CALL_ID_LIMIT - 1]) expect(ids.issuedFor(id)).toBeNull();
  });
});

describe('our id in a message', () => {
  test.each<[id: string, value: number | null]>([
    ['7', 7],
    ['"7"', 7],
    ['0', 0],
    ['1099511627775', CALL_ID_LIMIT - 1],
    ['"1099511627775"', CALL_ID_LIMIT - 1],
    ['1099511627776', null],
    ['9999999999999', null],
    ['99999999999999', null],
    ['123456789012345678901234567890', null],
    ['-7', null],
    ['-0', null],
    ['"-7"', null],
    ['"+7"', null],
    ['7.0', null],
    ['7e0', null],
    ['"7.0"', null],
    ['"0x7"', null],
    ['""', null],
    ['" 7"', null],
    ['"7 "', null],
    ['"\\u0037"', null],
    ['"٧"', null],
    ['"seven"', null],
  ])('%s is read as %s', (id, value) => {
    expect(read(id)).toBe(value);
  });

  // We never wrote it so: an answer that is not ours is never routed by guess.
  test.each(['"007"', '"00"', '"0000000000007"'])('%s is not an id of ours: it has zeros in front', (id) => {
    expect(read(id)).toBeNull();
  });

  test('is null where there is none', () => {
    expect(ownId(Buffer.from('x'), null)).toBeNull();
    expect(ownId(Buffer.from('x'), undefined)).toBeNull();
    for (const kind of ['null', 'boolean', 'object', 'array'] as const) {
      expect(ownId(Buffer.from('12'), { start: 0, end: 2, kind })).toBeNull();
    }
  });

  test('is found where it stands in a whole answer', () => {
    for (const id of [123, '123']) {
      const answer = answerOf(id);
      expect(ownId(answer.bytes, answer.id)).toBe(123);
    }
  });
});

describe('who waits for an id', () => {
  test('two callers using the same id get their own replies [A14]', () => {
    const ids = new CallIds(0.5);
    const correlation = new Correlation<string>();
    const forAlice = ids.issue(LINK);
    const forBob = ids.issue(LINK);
    correlation.begin(forAlice, 'alice');
    correlation.begin(forBob, 'bob');

    expect(correlation.settle(forBob)).toBe('bob');
    expect(correlation.settle(forAlice)).toBe('alice');
  });

  test('the first answer wins: a second one finds nobody', () => {
    const correlation = new Correlation<string>();
    correlation.begin(callId(1), 'alice');

    expect(correlation.find(1)).toBe('alice');
    expect(correlation.settle(1)).toBe('alice');
    expect(correlation.find(1)).toBeUndefined();
    expect(correlation.settle(1)).toBeUndefined();
    expect(correlation.size).toBe(0);
  });

  test('everybody is told once when the link is gone', () => {
    const correlation = new Correlation<string>();
    correlation.begin(callId(1), 'alice');
    correlation.begin(callId(2), 'bob');

    expect([...correlation.owners()]).toEqual(['alice', 'bob']);
    expect(correlation.takeAll()).toEqual(['alice', 'bob']);
    expect(correlation.takeAll()).toEqual([]);
    expect(correlation.find(1)).toBeUndefined();
  });

  test('a foreign, a late and an unknown answer are told apart', () => {
    const ids = new CallIds(0.3);
    const here = new Correlation<string>();
    const waiting = ids.issue(LINK);
    const late = ids.issue(LINK);
    const foreign = ids.issue(OTHER);
    here.begin(waiting, 'alice');
    here.begin(late, 'bob');
    here.settle(late);
    const verdict = (id: number): string => {
      if (here.find(id) !== undefined) return 'awaited';
      const link = ids.issuedFor(id);
      return link === null ? 'unknown' : link === LINK ? 'late' : 'foreign';
    };

    expect([waiting, late, foreign, foreign + 1].map(verdict)).toEqual(['awaited', 'late', 'foreign', 'unknown']);
  });
});
