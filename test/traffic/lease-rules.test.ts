import { expect, test } from 'vitest';
import { EMPTY_PROFILE, PROFILE_MEMBERS, profileOf } from '../../src/protocol/capability-profile.ts';
import { METHODS, methodRow } from '../../src/protocol/methods.ts';
import { needsToBeAlone } from '../../src/traffic/lease-rules.ts';

const ASKABLE = profileOf({ elicitation: {} }, new Set(PROFILE_MEMBERS));

test('a call needs to be alone when the upstream may put a question back, and its client can be asked', () => {
  const alone = Object.keys(METHODS).filter((method) => needsToBeAlone(methodRow(method), ASKABLE));

  expect(alone).toEqual(['tools/call', 'prompts/get', 'resources/read']);
});

test('where nothing is declared nothing can be asked', () => {
  for (const method of [...Object.keys(METHODS), 'x/unknown']) {
    expect(needsToBeAlone(methodRow(method), EMPTY_PROFILE)).toBe(false);
  }
});
