import { expect, test } from 'vitest';
import { PLANTED, foundIn, foundInErrors, tellEverything } from './planted-secrets.ts';

/** Every kind of trouble that is provoked: what was not met shows nothing. */
const MET = [
  'upstream_unreachable',
  'upstream_tls',
  'upstream_redirect',
  'upstream_unauthorized',
  'endpoint_refused',
  'unauthorized',
  'parse_error',
  'session_unknown',
  'origin_refused',
  'path_unknown',
  'configuration',
];

test('forty secrets and more are planted, no two alike', () => {
  expect(new Set(PLANTED).size).toBeGreaterThanOrEqual(40);
});

test('none of them is said at the most talkative level, nor what a fault of ours held, nor is one told to clients [T16]', async () => {
  const { program, errors, fresh, code } = await tellEverything('trace', 'json');

  expect(foundIn(program, fresh)).toEqual([]);
  expect(foundInErrors(errors)).toEqual([]);
  expect(fresh.filter((secret) => secret.length < 20)).toEqual([]);
  expect(MET.filter((reason) => !(program + errors).includes(reason))).toEqual([]);
  expect(code).toBe(1);
});
