import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { parseConfig } from '../../src/config/load.ts';
import { configOf } from './surroundings.ts';

const yaml = readFileSync(join(import.meta.dirname, '../../proxy.example.yaml'), 'utf8');

test('the example is valid, and says nothing but the defaults', () => {
  expect(configOf({ yaml })).toEqual(parseConfig({ upstreams: [{ url: 'http://127.0.0.1:9001/sse' }] }));
});

test('every key is in it', () => {
  for (const { path } of KEYS) {
    const name = path.at(-1) ?? '';
    expect(yaml, name).toMatch(new RegExp(`\\b${name}:`));
  }
});

test('what is commented out is valid too', () => {
  const lines = yaml.split('\n');
  const all = lines.map((line) => line.replace(/^( *)# (?=\w+: (?:[\d['{/]|http|\w+$))/, '$1'));
  // Of what is then said twice the example counts.
  const kept = all.filter((line, index) => {
    const key = /^ *(?:- )?(\w+): /.exec(line)?.[1];
    const next = all.slice(index + 1, index + 2).join('');
    return key === undefined || !next.trimStart().startsWith(`${key}: `);
  });
  const secret = 'f3a1095c7be2d84460b7193ec82ad15f8e04b39c6d7721fa05e8c49b3d5210a6';
  const tls = (name: string): string => readFileSync(join(import.meta.dirname, '../fixtures/tls', name), 'utf8');
  const files = {
    '/run/secrets/causeway': secret,
    '/run/secrets/causeway-previous': secret,
    '/run/secrets/causeway-admin': secret,
    '/etc/causeway/ca.pem': tls('ca.pem'),
    '/etc/causeway/client.pem': tls('client.pem'),
    '/etc/causeway/client.key': tls('client.key'),
  };
  const config = configOf({
    files,
    yaml: kept.join('\n').replace(/^upstreams:\n(.*\n) {4}name/m, 'upstreams:\n$1  - name'),
  });

  expect(kept.length).toBeLessThan(lines.length);
  expect(config.allowedHosts).toEqual(['mcp.example.com']);
  expect(config.secrets).toEqual({ current: secret, previous: secret });
  expect(config.inbound).not.toBe('none');
  expect(config.upstreams[0]).toMatchObject({
    name: 'billing',
    legacy: { sse: '/sse' },
    headers: { 'x-api-key': 'none' },
  });
});
