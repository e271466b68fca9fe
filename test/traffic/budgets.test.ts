import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ANYONE } from '../../src/domain/principal.ts';
import type { Budgeted } from '../../src/traffic/budgets.ts';
import { VirtualTime } from '../support/virtual-time.ts';
import { budgetsOf } from './budgets-world.ts';

const ALICE = { key: 'alice', proof: '' };
const BOB = { key: 'bob', proof: '' };
const KINDS: readonly Budgeted[] = ['sessions', 'links', 'listens', 'heldCalls'];

describe.each(KINDS)('%s', (what) => {
  test('are refused beyond the budget, by its key, and only to the caller who has spent it', () => {
    const budgets = budgetsOf({ [what]: 2 });

    const giveBack = budgets.take(what, ALICE);
    budgets.take(what, ALICE);

    const refusal = budgets.refusal(what, ALICE);
    expect(refusal).toMatchObject({ code: 'budget_spent', status: 503, details: { limit: `budgets.${what}` } });
    expect(refusal?.message).toContain(`(budgets.${what})`);
    expect(budgets.refusal(what, BOB)).toBeNull();
    for (const other of KINDS) if (other !== what) expect(budgets.refusal(other, ALICE)).toBeNull();

    giveBack();
    giveBack();

    expect(budgets.refusal(what, ALICE)).toBeNull();
    expect(budgets.held(what, ALICE)).toBe(1);
  });

  test('are without a bound where it is 0, and for callers who cannot be told apart', () => {
    const [none, one] = [budgetsOf({ [what]: 0 }), budgetsOf({ [what]: 1 })];

    for (let i = 0; i < 100; i++) {
      none.take(what, ALICE);
      one.take(what, ANYONE);
    }

    expect([none.refusal(what, ALICE), one.refusal(what, ANYONE)]).toEqual([null, null]);
    expect([none.held(what, ALICE), one.size]).toEqual([100, 0]);
  });
});

test('beyond the budget the oldest that can be let go make room, as many as it takes, and no others do', () => {
  const budgets = budgetsOf({ heldCalls: 3 });
  const gone: string[] = [];
  const hold = (name: string, principal = ALICE): void => {
    const giveBack = budgets.take('heldCalls', principal, () => {
      gone.push(name);
      giveBack();
    });
    budgets.keepWithin('heldCalls', principal);
  };

  hold('bob', BOB);
  budgets.take('heldCalls', ALICE);
  hold('1');
  hold('2');
  expect(gone).toEqual([]);
  hold('3');
  expect(gone).toEqual(['1']);
  budgets.take('heldCalls', ALICE);
  budgets.take('heldCalls', ALICE);
  hold('4');

  expect(gone).toEqual(['1', '2', '3', '4']);
  expect([budgets.held('heldCalls', ALICE), budgets.held('heldCalls', BOB)]).toEqual([3, 1]);
});

test('of what was given back nothing is remembered, in whatever order that was', () => {
  const step = fc.tuple(fc.constantFrom(...KINDS), fc.constantFrom('a', 'b', 'c'), fc.nat(1000));

  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budgets = budgetsOf({ sessions: 3, links: 3, listens: 3, heldCalls: 3 });
      const open: (() => void)[] = [];
      for (const [what, key, chance] of steps) {
        if (chance % 3 === 0) open.splice(chance % Math.max(1, open.length), 1)[0]?.();
        else if (budgets.refusal(what, { key, proof: '' }) === null) open.push(budgets.take(what, { key, proof: '' }));
        expect(budgets.held(what, { key, proof: '' })).toBeLessThanOrEqual(3);
      }

      for (const giveBack of open) giveBack();

      expect(budgets.size).toBe(0);
    }),
  );
});

describe('calls a minute', () => {
  test('come at once or one after the other, and time gives them back', () => {
    const time = new VirtualTime();
    const budgets = budgetsOf({ callsPerMinute: 6 }, time);

    const first = Array.from({ length: 8 }, () => budgets.call(ALICE));
    const refused = first[6];
    time.advanceSync(9_999);
    const early = budgets.call(ALICE);
    time.advanceSync(1);
    const due = [budgets.call(ALICE), budgets.call(ALICE)];

    expect(first.map((each) => each === null)).toEqual([true, true, true, true, true, true, false, false]);
    expect(refused).toMatchObject({ status: 503, details: { limit: 'budgets.callsPerMinute', retryAfterMs: 10_000 } });
    expect(early?.details.retryAfterMs).toBe(1);
    expect(due.map((each) => each === null)).toEqual([true, false]);
  });

  test('are those of one caller, and of nobody who cannot be told apart', () => {
    const budgets = budgetsOf({ callsPerMinute: 1 });
    budgets.call(ALICE);

    expect([budgets.call(ALICE) === null, budgets.call(BOB)]).toEqual([false, null]);
    expect([budgets.call(ANYONE), budgets.call(ANYONE)]).toEqual([null, null]);
  });

  test('of a batch that is larger than what is left are all made, and paid off before the next', () => {
    const time = new VirtualTime();
    const budgets = budgetsOf({ callsPerMinute: 10 }, time);

    expect(budgets.call(ALICE, 25)).toBeNull();
    expect(budgets.call(ALICE)?.details.retryAfterMs).toBe(96_000);
    time.advanceSync(96_000);
    expect(budgets.call(ALICE)).toBeNull();
  });

  test('never add up beyond those of a minute', () => {
    const time = new VirtualTime();
    const budgets = budgetsOf({ callsPerMinute: 3 }, time);
    budgets.call(ALICE);
    time.advanceSync(3_600_000);

    const made = Array.from({ length: 10 }, () => budgets.call(ALICE)).filter((each) => each === null);

    expect(made).toHaveLength(3);
  });

  test('of callers who are gone are forgotten: as many as come and go, few are remembered', () => {
    const time = new VirtualTime();
    const budgets = budgetsOf({ callsPerMinute: 60 }, time);

    for (let i = 0; i < 50_000; i++) {
      budgets.call({ key: `caller ${i}`, proof: '' });
      time.advanceSync(10);
    }

    expect(budgets.size).toBeLessThan(2500);
    expect(budgets.size).toBeGreaterThan(0);
  });
});

test('are of the caller that inbound knows, whatever credential it brings for the upstream', () => {
  const budgets = budgetsOf({ links: 1, callsPerMinute: 1 });
  const brought = (fingerprint: string) => ({ ...ALICE, credential: { headers: {}, fingerprint } });
  const stranger = { ...ANYONE, key: 'anyone:made-up', inboundKey: ANYONE.key };

  budgets.take('links', brought('one'));
  budgets.take('links', stranger);
  budgets.call(brought('one'));
  budgets.call(stranger);

  expect(budgets.refusal('links', brought('two'))?.code).toBe('budget_spent');
  expect(budgets.call(brought('two'))?.code).toBe('budget_spent');
  expect([budgets.refusal('links', stranger), budgets.call(stranger), budgets.size]).toEqual([null, null, 1]);
});
