import { test } from 'vitest';
import { keepsUnderReloads } from '../support/reloads.ts';

test('sessions, streams and listens of an upstream that has not changed survive 300 reloads under load', async () => {
  await keepsUnderReloads(300);
});
