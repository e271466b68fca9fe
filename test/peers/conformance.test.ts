// The official conformance suite against the gateway and against the server behind it, scenario by scenario.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  failuresOf,
  pollingIn,
  playRounds,
  unprovenIn,
  warningsOf,
  type Round,
  type Rounds,
} from './conformance/rounds.ts';
import { revisions, type Revision } from './conformance/revisions.ts';

let played: Rounds | undefined;

beforeAll(async () => {
  played = await playRounds();
}, 1_900_000);

const [direct, indirect] = [
  revisions.filter(({ isDirect }) => isDirect),
  revisions.filter(({ isDirect }) => !isDirect),
];

describe.each(direct)('$revision', ({ revision, scenarios }) => {
  test(`the suite has ${scenarios} scenarios, the same for the gateway as for the server behind it`, () => {
    const { direct: reference, gateway } = roundOf(revision);

    expect(gateway.map(({ scenario }) => scenario)).toEqual(reference?.map(({ scenario }) => scenario));
    expect(gateway).toHaveLength(scenarios);
  });

  test('the server passes every scenario without the gateway', () => {
    const { direct: reference } = roundOf(revision);

    expect(failuresOf(reference ?? [])).toEqual([]);
    expect(warningsOf(reference ?? [])).toEqual([]);
  });

  test('the server passes every scenario through the gateway', () => {
    expect(failuresOf(roundOf(revision).gateway)).toEqual([]);
  });

  test('no scenario passes through the gateway for want of anything to check', () => {
    expect(unprovenIn(roundOf(revision).gateway)).toEqual([]);
  });
});

describe.each(indirect)('$revision', ({ revision, scenarios, unproven }) => {
  test(`the suite has ${scenarios} scenarios`, () => {
    expect(roundOf(revision).gateway).toHaveLength(scenarios);
  });

  test('the server, which does not speak it, fails no scenario through the gateway', () => {
    expect(failuresOf(roundOf(revision).gateway)).toEqual([]);
  });

  test(`no scenario but ${unproven.join(' and ')} passes for want of anything to check`, () => {
    expect(unprovenIn(roundOf(revision).gateway)).toEqual(unproven);
  });

  test('the suite warns of no other scenario', () => {
    const warned = roundOf(revision).gateway.filter(({ warnings }) => warnings.length > 0);

    expect(warned.map(({ scenario }) => scenario)).toEqual(unproven);
  });
});

test('the suite has no warning about the stream of a long call', () => {
  const polling = pollingIn(roundOf('2025-11-25').gateway);

  expect(polling).toHaveLength(1);
  expect(warningsOf(polling)).toEqual([]);
});

test.each(revisions)(
  '$revision through three replicas, each request on another one, is what it is through one',
  ({ revision }) => {
    const { gateway, replicas } = roundOf(revision);

    expect(replicas).toEqual(gateway);
  },
);

test('every replica has taken its share of that, and what was not its own it has handed on', () => {
  const { taken = [], hops = 0 } = played ?? {};

  console.log(`requests taken by the replicas: ${taken.join(', ')}; handed to another: ${hops}`);
  expect(Math.min(...taken)).toBeGreaterThan(Math.max(...taken) * 0.9);
  expect(hops).toBeGreaterThan(100);
});

function roundOf(revision: Revision): Round {
  const round = played?.rounds.find((each) => each.revision === revision);
  if (round === undefined) throw new Error(`the suite was not run for ${revision}`);
  return round;
}
