// The official conformance suite against the gateway and against the server behind it, scenario by scenario.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  failuresOf,
  pollingIn,
  playRounds,
  revisions,
  unprovenIn,
  warningsOf,
  type Revision,
  type Round,
} from './conformance/rounds.ts';

const rounds = new Map<Revision, Round>();

beforeAll(async () => {
  for (const round of await playRounds()) rounds.set(round.revision, round);
}, 1_200_000);

describe.each(revisions)('$revision', ({ revision, scenarios }) => {
  test(`the suite has ${scenarios} scenarios, the same for the gateway as for the server behind it`, () => {
    const { direct, gateway } = roundOf(revision);

    expect(gateway.map(({ scenario }) => scenario)).toEqual(direct.map(({ scenario }) => scenario));
    expect(gateway).toHaveLength(scenarios);
  });

  test('the server passes every scenario without the gateway', () => {
    const { direct } = roundOf(revision);

    expect(failuresOf(direct)).toEqual([]);
    expect(warningsOf(direct)).toEqual([]);
  });

  test('the server passes every scenario through the gateway', () => {
    expect(failuresOf(roundOf(revision).gateway)).toEqual([]);
  });

  test('no scenario passes through the gateway for want of anything to check', () => {
    expect(unprovenIn(roundOf(revision).gateway)).toEqual([]);
  });
});

test('the suite has no warning about the stream of a long call', () => {
  const polling = pollingIn(roundOf('2025-11-25').gateway);

  expect(polling).toHaveLength(1);
  expect(warningsOf(polling)).toEqual([]);
});

function roundOf(revision: Revision): Round {
  const round = rounds.get(revision);
  if (round === undefined) throw new Error(`the suite was not run for ${revision}`);
  return round;
}
