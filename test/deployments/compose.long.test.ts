// config/compose as the real docker-compose reads it, the old one too.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/pages.ts';
import { output, takes } from '../support/installed.ts';

test('docker-compose reads the file, and finds nothing in it that it does not know', (context) => {
  takes(context, 'docker-compose');

  const file = join(ROOT, 'config/compose/compose.yaml');
  const text = output('docker-compose', ['-f', file, '--profile', 'replicas', 'config']);

  const { services } = parse(text) as { services: Record<string, { environment?: Record<string, string> }> };
  const inProfile = ['balancer', 'causeway-a', 'causeway-b', 'causeway-c', 'redis'];
  const always = ['causeway', 'grafana', 'old-server', 'prometheus'];
  expect(Object.keys(services).toSorted()).toEqual([...always, ...inProfile].toSorted());
  expect(services['causeway']?.environment).toMatchObject({ CAUSEWAY_UPSTREAM: 'http://old-server:9001/sse' });
  // What is merged into each of them, and what is its own.
  expect(services['causeway-b']?.environment).toMatchObject({
    CAUSEWAY_CONFIG: '/etc/causeway/proxy.yaml',
    CAUSEWAY_PEERS_SELF: 'causeway-b:8082',
  });
});
