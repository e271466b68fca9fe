import { expect, test } from 'vitest';
import { withoutSent } from '../../src/upstream/sent-secrets.ts';

const urls = [new URL('http://us%65r:p%40ssword@a/sse?token=qu3ry&v=1')];
const headers = { authorization: 'Bearer t0ken-long', 'x-key': 't0ken' };

test.each([
  ['a usual name', 'old-server 1.0', 'old-server 1.0'],
  ['a header', 'I got Bearer t0ken-long', 'I got ***'],
  ['what stands behind a scheme', 't0ken-long!', '***!'],
  ['one that begins another', 't0ken and t0ken-long', '*** and ***'],
  ['a scheme alone', 'Bearer of news', 'Bearer of news'],
  ['user and password, as they were meant', 'user:p@ssword', '***:***'],
  ['a parameter', 'is qu3ry', 'is ***'],
  ['what is too short to be one', 'v1', 'v1'],
])('%s: %s', (_, said, shown) => {
  expect(withoutSent(said, { urls }, headers)).toBe(shown);
});
