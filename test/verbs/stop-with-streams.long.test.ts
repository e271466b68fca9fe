// See stop-with-streams.ts.

import { test } from 'vitest';
import { stopsWithStreams } from './stop-with-streams.ts';

test('SIGTERM with 500 open streams: exit 0 in time, and every stream that is read ends between two events', async () => {
  await stopsWithStreams({ gets: 440, posts: 50, stopped: 10, drainMs: 3000 });
});
