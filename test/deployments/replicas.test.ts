// The profile `replicas` of config/compose: three gateways that differ in nothing but their names, what they share, and an nginx
// that keeps nothing of an event stream to itself.

import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  COMPOSE,
  NGINX,
  OF_PROFILE,
  REPLICAS,
  SECRETS,
  SECRET_FILES,
  configIn,
  directives,
  serviceOf,
} from './replicas.ts';

const [FIRST] = REPLICAS.map(([, service]) => configIn(service));

/** `60s`, `1h`, `5m` of nginx, as milliseconds. */
function msOf(text = ''): number {
  const [, number = '', unit = ''] = /^(\d+)([smh])$/.exec(text) ?? [];
  return Number(number) * ({ s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? Number.NaN);
}

test('the replicas differ in nothing but in how the others reach them', () => {
  const same = REPLICAS.map(([, service]) => {
    const { CAUSEWAY_PEERS_SELF: self, ...environment } = service.environment;
    return [self !== undefined, { ...service, environment }];
  });

  expect(REPLICAS.length).toBe(3);
  for (const each of same) expect(each).toEqual([true, same[0]?.[1]]);
});

test('each is one of those that all know, by a name and a port at which it is', () => {
  const selves = REPLICAS.map(([name, service]) => {
    const { peers } = configIn(service);
    expect(peers?.self).toBe(`${name}:${peers?.port}`);
    return peers?.self;
  });

  expect(FIRST?.peers?.addresses).toEqual(selves);
  expect(FIRST?.peers?.host).toBe('0.0.0.0');
});

test('they share a secret and a store, from files of which compose names where they are made', () => {
  const [[name, redis] = ['', undefined]] = OF_PROFILE.filter(([, { image }]) => image.startsWith('redis:'));

  expect(Object.keys(SECRETS).map((each) => `/run/secrets/${each}`)).toEqual(Object.keys(SECRET_FILES));
  for (const [, { secrets, volumes }] of REPLICAS) {
    expect(secrets).toEqual(Object.keys(SECRETS));
    expect(volumes).toEqual(['./replicas/proxy.yaml:/etc/causeway/proxy.yaml:ro']);
  }
  // A file of the working tree that must not come into a commit or a package.
  const ignored = readFileSync(join(COMPOSE, '.gitignore'), 'utf8').split('\n');
  for (const { file } of Object.values(SECRETS))
    expect([file, ignored]).toEqual([`./${basename(file)}`, expect.arrayContaining(['*.key'])]);
  expect(FIRST?.secrets?.current).toBe(SECRET_FILES['/run/secrets/sealing']?.trim());
  expect([FIRST?.store?.url.hostname, FIRST?.store?.url.port]).toEqual([name, '6379']);
  expect(FIRST?.store?.url.password).toBe(SECRET_FILES['/run/secrets/store']?.trim());
  expect(redis?.secrets).toEqual(['store']);
  expect(redis?.ports).toBeUndefined();
});

test('the store throws nothing out, and its memory holds what it may keep', () => {
  const command = serviceOf('redis').command?.join(' ') ?? '';
  const [, most] = /--maxmemory (\d+)mb /.exec(command) ?? [];

  expect(command).toContain('--maxmemory-policy noeviction');
  expect(command).toContain('requirepass $$(cat /run/secrets/store)');
  expect(`${2 * Number(most)}m`).toBe(serviceOf('redis').mem_limit);
});

test('all of it can only be reached through the balancer, and is confined', () => {
  const published = OF_PROFILE.flatMap(([, { ports = [] }]) => ports);

  expect(published).toEqual(['127.0.0.1:8090:8080']);
  expect(directives('listen')).toEqual(['8080']);
  for (const [name, service] of OF_PROFILE) {
    expect([name, service.read_only, service.cap_drop, service.security_opt]).toEqual([
      name,
      true,
      ['ALL'],
      ['no-new-privileges:true'],
    ]);
    for (const volume of service.volumes) {
      const [from = '', , mode] = volume.split(':');
      expect([volume, existsSync(join(COMPOSE, from)), mode]).toEqual([volume, true, 'ro']);
    }
  }
});

test('each has the time that its drain takes, and half of its memory for the heap', () => {
  for (const [, { stop_grace_period: stop, mem_limit: memory, environment }] of REPLICAS) {
    const [, heap] = /^--max-old-space-size=(\d+)$/.exec(environment['NODE_OPTIONS'] ?? '') ?? [];
    expect(msOf(stop)).toBeGreaterThan((FIRST?.drain.delay ?? 0) + (FIRST?.drain.timeout ?? 0));
    expect(`${2 * Number(heap)}m`).toBe(memory);
  }
});

test('nginx sends requests to all replicas in turn, whosever session they are of', () => {
  const servers = directives('server').map((server) => server.split(' ')[0]);

  expect(servers).toEqual(REPLICAS.map(([name]) => `${name}:${FIRST?.listen.port}`));
  // One turn for all workers, and nothing that keeps a client to a replica.
  expect(directives('zone').length).toBe(1);
  expect(NGINX).not.toMatch(/\b(?:ip_hash|hash|sticky|least_conn|random|weight|backup)\b/);
  expect(serviceOf('balancer').depends_on).toEqual(REPLICAS.map(([name]) => name));
});

test('nginx keeps nothing back, sends nothing twice, and ends nothing that the gateway would not', () => {
  const { limits, timeouts, heartbeat } = FIRST ?? {};
  const [, mebibytes] = /^(\d+)m$/.exec(directives('client_max_body_size').join()) ?? [];

  expect([directives('proxy_buffering'), directives('proxy_request_buffering')]).toEqual([['off'], ['off']]);
  expect([directives('proxy_http_version'), directives('proxy_set_header Connection')]).toEqual([['1.1'], ["''"]]);
  expect(directives('proxy_next_upstream')).toEqual(['error timeout']);
  expect(msOf(directives('keepalive_timeout')[0])).toBeLessThan(timeouts?.keepAlive ?? 0);
  expect(msOf(directives('proxy_read_timeout')[0])).toBeGreaterThanOrEqual(timeouts?.requestMax ?? Infinity);
  expect(msOf(directives('proxy_send_timeout')[0])).toBeGreaterThanOrEqual(timeouts?.clientBody ?? Infinity);
  expect(msOf('15s')).toBe(heartbeat);
  expect(Number(mebibytes) * 1024 ** 2).toBeGreaterThan(limits?.bodyBytes ?? Infinity);
});

test('what nginx says of its clients is taken from it alone: as it overwrites what they say', () => {
  expect(directives('proxy_set_header X-Forwarded-For')).toEqual(['$remote_addr']);
  expect(directives('proxy_set_header Host')).toEqual(['$http_host']);
  expect(FIRST?.trustedProxies.length).toBeGreaterThan(0);
});

test('Prometheus scrapes those replicas that are there, by names that they let in', () => {
  const { scrape_configs: scraped } = parse(readFileSync(join(COMPOSE, 'prometheus.yaml'), 'utf8')) as {
    scrape_configs: {
      dns_sd_configs: { names: string[]; type: string; port: number }[];
      relabel_configs: { source_labels: string[]; target_label: string; replacement: string }[];
    }[];
  };
  const names = REPLICAS.map(([name]) => name);

  expect(scraped[0]?.dns_sd_configs).toEqual([{ names, type: 'A', port: FIRST?.admin?.port }]);
  expect(scraped[0]?.relabel_configs).toMatchObject([
    { source_labels: ['__meta_dns_name'], target_label: '__address__', replacement: `$1:${FIRST?.admin?.port}` },
  ]);
  expect(FIRST?.allowedHosts).toEqual(expect.arrayContaining(names));
});
