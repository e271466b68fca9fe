import { test } from 'vitest';
import { stoppedReaders } from './stopped-readers.ts';

test('100 readers that stop cost what the bounds allow, nobody else notices, and all of them get everything when they read on', async () => {
  await stoppedReaders({ offered: 4, atOnce: false, resumed: 100 });
}, 120_000);
