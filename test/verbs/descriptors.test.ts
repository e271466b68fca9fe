import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { descriptorShortage, descriptorsNeeded } from '../../src/verbs/descriptors.ts';
import { JSON_HEADERS } from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const config = (links: object) => parseConfig({ upstreams: [{ url: 'http://127.0.0.1:1/sse' }], links });

test('5,000 sessions need five descriptors each, beside those of the pool', () => {
  const without = descriptorsNeeded(config({ maxDedicated: 1 }));
  const needed = descriptorsNeeded(config({ maxDedicated: 5001 }));

  expect(needed - without).toBe(25_000);
});

test('among replicas each session needs two more: as many streams of others are passed on', () => {
  const secrets = { current: 'b8yXkGq0aVb0cXh5dE9ZrV7mJ2sT4uW6xY8zA1bC3dE' };
  const upstreams = [{ url: 'http://127.0.0.1:1/sse' }];
  const alone = parseConfig({ upstreams, secrets, links: { maxDedicated: 5000 } });
  const among = parseConfig({ upstreams, secrets, links: { maxDedicated: 5000 }, peers: { dns: 'replicas:8082' } });

  expect(descriptorsNeeded(among) - descriptorsNeeded(alone)).toBe(10_000);
});

test('a limit that is too low is told with both numbers, one that suffices is not', () => {
  const small = config({ maxDedicated: 5000 });

  expect(descriptorShortage(small, 4096)).toEqual({ needed: descriptorsNeeded(small), limit: 4096 });
  expect(descriptorShortage(small, descriptorsNeeded(small))).toBeNull();
  expect(descriptorShortage(small, null)).toBeNull();
});

test.runIf(existsSync('/proc/self/fd'))(
  'a live session whose client listens holds no more descriptors than that',
  async () => {
    const sessions = 40;
    const upstream = await startLegacyServer();
    const main = join(import.meta.dirname, '../../dist/main.js');
    const child = spawn(process.execPath, [main, upstream.url.href, '--listen', '127.0.0.1:0', '--log-level', 'warn'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await upstream.close();
    });
    const [banner] = await once(child.stderr, 'data');
    const endpoint = /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(String(banner))?.[0] ?? '';
    await upstream.whenStreams(1);
    const count = (): number => readdirSync(`/proc/${child.pid}/fd`).length;
    const before = count();
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    };

    const opened = await Promise.all(
      Array.from({ length: sessions }, () =>
        fetch(endpoint, { method: 'POST', headers: JSON_HEADERS, body: JSON.stringify(initialize) }),
      ),
    );

    const listening = await Promise.all(
      opened.map(({ headers }) =>
        fetch(endpoint, {
          headers: { accept: 'text/event-stream', 'mcp-session-id': headers.get('mcp-session-id') ?? '' },
        }),
      ),
    );

    expect([...opened, ...listening].map(({ status }) => status)).toEqual(Array(2 * sessions).fill(200));
    expect(count() - before).toBeLessThanOrEqual(5 * sessions);
    // The link and the stream of each.
    expect(count() - before).toBeGreaterThanOrEqual(2 * sessions);
  },
);
