import { test } from 'vitest';
import { PAYLOADS } from '../support/smuggling.ts';
import { isReadInOneWay } from './smuggling.ts';

test('every request that could be read in two ways is read in one, or refused [T11]', async () => {
  await isReadInOneWay(PAYLOADS);
});
