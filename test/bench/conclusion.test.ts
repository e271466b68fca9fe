import { describe, expect, test } from 'vitest';
import { conclude } from '../../bench/conclusion.ts';
import { noiseLine, noiseOf } from '../../bench/noise.ts';
import { TARGETS, judge, type Target } from '../../bench/targets.ts';
import { outcome, rates, row } from './figures.ts';

const target = (what: string): Target => {
  const found = TARGETS.find((each) => each.what === what);
  if (found === undefined) throw new Error(`no target "${what}"`);
  return found;
};

const FLOOR_RATE = 'c32: rate x http-floor (Fastify + reply-from)';
const CHECK = { check: true, acceptNoise: false };
const REPORT = { check: false, acceptNoise: false };

/** So many times the floor in each round. */
const c32 = (...times: readonly number[]) =>
  outcome(
    'c32',
    rates('direct', ...times.map(() => 40_000)),
    rates('http-floor', ...times.map((_, round) => 1000 + round)),
    rates('causeway', ...times.map((each, round) => each * (1000 + round))),
  );

describe('a target', () => {
  test('is the median of ratios within each round, with its range', () => {
    const { figure } = judge(target(FLOOR_RATE), [c32(0.9, 1.3, 0.8, 1, 0.95)]);

    expect(figure?.median).toBeCloseTo(0.95);
    expect(figure?.low).toBeCloseTo(0.8);
    expect(figure?.high).toBeCloseTo(1.3);
  });

  test.each([
    [1.2, 'goal'],
    [1.101, 'goal'],
    [1.09, 'must'],
    [0.851, 'must'],
    [0.84, 'MISSED'],
    [0, 'MISSED'],
    [Number.NaN, 'MISSED'],
  ])('of which more is better, at %d: %s', (times, verdict) => {
    expect(judge(target(FLOOR_RATE), [c32(times)]).verdict).toBe(verdict);
  });

  test.each([
    [40, 'goal'],
    [48, 'goal'],
    [64, 'must'],
    [65, 'MISSED'],
    [Number.NaN, 'MISSED'],
  ])('of which less is better, at %d: %s', (kibPerSession, verdict) => {
    const idle = outcome('idle', row('causeway', [{ kibPerSession }]));

    expect(judge(target('idle: KiB per session with its GET stream'), [idle]).verdict).toBe(verdict);
  });

  test('that nobody was there for is not measured', () => {
    expect(judge(target(FLOOR_RATE), [outcome('c32', rates('causeway', 1))]).verdict).toBe('not measured');
    expect(judge(target(FLOOR_RATE), []).verdict).toBe('not measured');
  });

  test('about the added time is a difference', () => {
    const c1 = outcome('c1', row('direct', [{ p50Ms: 0.1 }]), row('causeway', [{ p50Ms: 0.25 }]));

    expect(judge(target('c1: p50 added to direct, ms'), [c1]).figure?.median).toBeCloseTo(0.15);
  });

  test('about variants compares the gateway with itself', () => {
    const modern = outcome(
      'modern',
      row('causeway', [{ callsPerSecond: 1000 }], 'sessionless'),
      row('causeway', [{ callsPerSecond: 900 }]),
      row('causeway', [{ callsPerSecond: 600 }], 'elicitation'),
    );

    expect(judge(target('modern: rate x own sessionless'), [modern]).verdict).toBe('must');
    expect(judge(target('modern, elicitation declared: rate x own sessionless'), [modern]).verdict).toBe('MISSED');
  });

  test('about a chain is the scenario where the gateway is least ahead, of those the chain can do', () => {
    const ahead = target('supergateway: times ahead of the chain, where that is least');
    const outcomes = [
      outcome('c32', rates('supergateway', 100), rates('causeway', 2000)),
      outcome('mib1', rates('supergateway', 100), rates('causeway', 300)),
      outcome('req1', row('supergateway', [{ right: 0, callsPerSecond: 0 }]), rates('causeway', 1)),
    ];
    const judged = judge(ahead, outcomes);

    expect([judged.figure?.median, judged.verdict, ahead.detail?.(outcomes)]).toEqual([3, 'must', 'mib1']);
  });

  test('about notifications counts each that was lost, in every round', () => {
    const lossy = outcome('progress10', row('causeway', [{}, { progressLost: 1 }, {}]));

    expect(judge(target('progress10: notifications lost or misrouted'), [lossy])).toMatchObject({
      figure: { median: 1 },
      verdict: 'MISSED',
    });
  });
});

describe('noise', () => {
  test('is told by the rate of direct', () => {
    expect(noiseOf(outcome('c32', rates('direct', 700, 1000, 1290))).isTooNoisy).toBe(false);
    expect(noiseOf(outcome('c32', rates('direct', 650, 1000, 1300))).isTooNoisy).toBe(true);
    // Of those that are being judged the rate may well wander.
    expect(noiseOf(outcome('c32', rates('direct', 1000, 1000), rates('causeway', 1, 1000))).isTooNoisy).toBe(false);
  });

  test('is told by the floor, where there is no direct', () => {
    const noise = noiseOf(outcome('c32', rates('causeway', 5, 5), rates('http-floor', 1, 5)));

    expect([noise.reference, noise.isTooNoisy]).toEqual(['http-floor', true]);
  });

  test('is what others do with the machine', () => {
    const busy = outcome('c32', row('direct', [{ others: 0.1 }, { others: 0.3 }, { others: 0.4 }]));

    expect(noiseOf(busy).isTooNoisy).toBe(true);
    expect(noiseLine(noiseOf(busy))).toContain(
      'TOO NOISY, direct 1000 a second, spread 0.00 (at most 0.6); others used 30.0 %',
    );
  });

  test('of a reference that had no right answer is too much', () => {
    expect(noiseOf(outcome('c32', rates('direct', 0, 0))).isTooNoisy).toBe(true);
  });
});

describe('the run ends', () => {
  const good = c32(1.2, 1.2, 1.2);
  const poor = c32(0.5, 0.5, 0.5);
  const noisy = outcome(
    'mib1',
    rates('direct', 1, 10, 20),
    rates('http-floor', 10, 10, 10),
    rates('causeway', 1, 1, 1),
  );

  test('with 0 if all musts that were measured are reached', () => {
    expect(conclude([good], CHECK)).toMatchObject({ exitCode: 0, reportable: [good] });
  });

  test('with 1 if one is missed, but only if that is checked', () => {
    expect(conclude([poor], CHECK).exitCode).toBe(1);
    expect(conclude([poor], REPORT).exitCode).toBe(0);
  });

  test('with 2 if it was too noisy to tell, and without a report of that', () => {
    expect(conclude([good, noisy], CHECK)).toMatchObject({ exitCode: 2, reportable: [good] });
    expect(conclude([good, noisy], REPORT)).toMatchObject({ exitCode: 1, reportable: [good] });
    expect(conclude([poor, noisy], CHECK).exitCode).toBe(1);
  });

  test('with a verdict on what was noisy: none', () => {
    const { judged } = conclude([noisy], CHECK);

    expect(judged.find((each) => each.target.what.startsWith('mib1'))?.verdict).toBe('too noisy');
  });

  test('with figures of a noisy machine where that is accepted, but never with a pass', () => {
    expect(conclude([noisy], { check: false, acceptNoise: true })).toMatchObject({ exitCode: 0, reportable: [noisy] });
    expect(conclude([good, noisy], { check: true, acceptNoise: true }).exitCode).toBe(2);
  });

  test.each([
    ['causeway', 'wrong'],
    ['causeway', 'misrouted'],
    ['http-floor', 'wrong'],
    ['supergateway', 'wrong'],
  ] as const)('with 1 and no report at all if %s had one %s', (peer, what) => {
    const bad = outcome('c128', row(peer, [{}, { [what]: 1 }]));

    expect(conclude([good, bad], REPORT)).toMatchObject({ exitCode: 1, reportable: [], judged: [] });
    expect(conclude([good, bad], { check: true, acceptNoise: true }).exitCode).toBe(1);
  });

  test('with a report if a stranger misroutes: that is what there is to tell of it', () => {
    const stranger = outcome('c128', rates('direct', 1, 1), row('supergateway', [{ misrouted: 9 }, {}]));

    expect(conclude([good, stranger], CHECK).exitCode).toBe(0);
  });

  test('with 1 if calls of the gateway failed', () => {
    const failing = outcome('c128', rates('direct', 1, 1), row('causeway', [{ errors: 1 }, {}]));

    expect(conclude([failing], CHECK).exitCode).toBe(1);
  });
});
