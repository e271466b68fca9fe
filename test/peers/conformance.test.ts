// The official conformance suite against the gateway and against the server behind it, scenario by scenario.
import { beforeAll, describe, expect, test } from 'vitest';
import { failuresOf, pollingIn, playRounds, unprovenIn, warningsOf, type Round } from './conformance/rounds.ts';
import { revisions, type Revision } from './conformance/revisions.ts';

const rounds = new Map<Revision, Round>();

beforeAll(async () => {
  for (const round of await playRounds()) rounds.set(round.revision, round);
}, 1_300_000);

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

function roundOf(revision: Revision): Round {
  const round = rounds.get(revision);
  if (round === undefined) throw new Error(`the suite was not run for ${revision}`);
  return round;
}
