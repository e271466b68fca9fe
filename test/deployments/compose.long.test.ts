// config/compose as the real docker-compose reads it, the old one too.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/pages.ts';
import { output, takes } from '../support/installed.ts';

test('docker-compose reads the file, and finds nothing in it that it does not know', (context) => {
  takes(context, 'docker-compose');

  const text = output('docker-compose', ['-f', join(ROOT, 'config/compose/compose.yaml'), 'config']);

  const { services } = parse(text) as { services: Record<string, { environment?: Record<string, string> }> };
  expect(Object.keys(services)).toEqual(['causeway', 'grafana', 'old-server', 'prometheus']);
  expect(services['causeway']?.environment).toMatchObject({ CAUSEWAY_UPSTREAM: 'http://old-server:9001/sse' });
});
