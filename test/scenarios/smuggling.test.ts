import { expect, test } from 'vitest';
import { PAYLOADS } from '../support/smuggling.ts';
import { isReadInOneWay } from './smuggling.ts';

test('there are 300 of them and more, all different', () => {
  expect(new Set(PAYLOADS.map(({ bytes }) => bytes('x'))).size).toBe(PAYLOADS.length);
  expect(PAYLOADS.length).toBeGreaterThanOrEqual(300);
});

test('every seventh request that could be read in two ways is read in one, or refused [T11]', async () => {
  await isReadInOneWay(PAYLOADS.filter((_, index) => index % 7 === 0));
});
