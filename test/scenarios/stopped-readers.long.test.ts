import { test } from 'vitest';
import { stoppedReaders } from './stopped-readers.ts';

test('100 readers that stop cost no more when 64 MiB are offered to each, and those that read on get everything', async () => {
  await stoppedReaders({ offered: 64, atOnce: true, resumed: 10, compared: true });
});
