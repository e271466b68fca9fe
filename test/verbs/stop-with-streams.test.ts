// See stop-with-streams.ts.

import { test } from 'vitest';
import { stopsWithStreams } from './stop-with-streams.ts';

test('SIGTERM with open streams: exit 0 in time, and every stream that is read ends between two events', async () => {
  await stopsWithStreams({ gets: 20, posts: 5, stopped: 2, drainMs: 500 });
});
