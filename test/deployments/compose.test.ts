// What config/compose says: files that are there, names and ports that agree, and the program runs so.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import { configOf } from '../config/surroundings.ts';
import { composeFileIn, composed } from '../docs/containers.ts';
import { ROOT } from '../docs/pages.ts';
import { IMAGE, StandIns, start } from '../docs/run-container.ts';

// A program starts in half a second, on a busy machine in ten times that.
vi.setConfig({ testTimeout: 60_000 });

const FOLDER = join(ROOT, 'config/compose');
const TEXT = readFileSync(join(FOLDER, 'compose.yaml'), 'utf8');
const { services: all, volumes } = composeFileIn(TEXT);
// Of those with a profile is replicas.test.ts.
const services = Object.fromEntries(Object.entries(all).filter(([, { profiles }]) => profiles.length === 0));
const { gateway } = composed(TEXT, 'causeway');
const CONFIG = configOf({ env: { ...IMAGE.env, ...gateway.env } });

function yamlOf(file: string): unknown {
  return parse(readFileSync(file, 'utf8'));
}

/** What is mounted into a service, by where it is there. */
function mounts(name: string): Readonly<Record<string, string>> {
  const bound = (services[name]?.volumes ?? []).map((volume) => volume.split(':'));
  return Object.fromEntries(
    bound.map(([from = '', to = '']) => [to, from.startsWith('.') ? join(FOLDER, from) : from]),
  );
}

test('every file that is mounted is there, to be read only, and every volume is declared', () => {
  const all = Object.keys(services).flatMap((name) => Object.values(mounts(name)));
  const files = all.filter((from) => from.startsWith('/'));
  const writable = Object.values(services).flatMap((each) => each.volumes.filter((volume) => !volume.endsWith(':ro')));

  expect(files.length).toBeGreaterThan(3);
  expect(files.filter((path) => !existsSync(path))).toEqual([]);
  expect(writable.map((volume) => volume.split(':')[0])).toEqual(Object.keys(volumes ?? {}));
});

test('only this machine can reach what is published, and nothing but the gateway and the graphs is', () => {
  const published = Object.values(services).flatMap(({ ports = [] }) => ports);

  expect(published).toEqual([`127.0.0.1:8080:${CONFIG.listen.port}`, '127.0.0.1:3000:3000']);
});

test('the gateway has the time that its drain takes, and half of its memory for the heap', () => {
  const heap = /^--max-old-space-size=(\d+)$/.exec(gateway.env['NODE_OPTIONS'] ?? '');

  expect(gateway.stopMs).toBeGreaterThan(CONFIG.drain.delay + CONFIG.drain.timeout);
  expect(services['causeway']?.depends_on).toEqual(['old-server']);
  expect(`${2 * Number(heap?.[1])}m`).toBe(services['causeway']?.mem_limit);
});

test('the program runs so, is healthy, and is scraped under the name that Prometheus asks by', async () => {
  const standIns = new StandIns();
  const env = { ...gateway.env, CAUSEWAY_ADMIN: '127.0.0.1:0' };
  const started = await start({ ...gateway, env }, standIns);
  const [, admin = ''] = await started.program.says(/"admin":"http:\/\/127\.0\.0\.1:(\d+)"/);

  const health = started.also(...(gateway.healthcheck ?? []).slice(IMAGE.entrypoint.length));
  const { scrape_configs: scraped } = yamlOf(mounts('prometheus')['/etc/prometheus/prometheus.yaml'] ?? '') as {
    scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
  };
  const [job, ...others] = scraped;

  expect(gateway.healthcheck?.slice(0, IMAGE.entrypoint.length)).toEqual(IMAGE.entrypoint);
  expect([await health.ended, health.stderr()]).toEqual([0, '']);
  expect(standIns.hosts).toEqual(['old-server']);
  expect([job?.job_name, others]).toEqual(['causeway', []]);
  expect(job?.static_configs).toEqual([{ targets: [`causeway:${CONFIG.admin?.port}`] }]);
  for (const [host, status] of [
    [job?.static_configs[0]?.targets[0], 200],
    ['elsewhere:8081', 403],
  ] as const) {
    const asked = request({ host: '127.0.0.1', port: Number(admin), path: '/metrics', headers: { host } }).end();
    // oxlint-disable-next-line no-await-in-loop -- two
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    expect([host, response.statusCode]).toEqual([host, status]);
  }
  started.program.child.kill('SIGKILL');
});

test('the old server of it is the one of the demo, and listens where the gateway looks for it', async () => {
  const [, flag = '', script = ''] = services['old-server']?.entrypoint ?? [];
  const url = new URL(gateway.env['CAUSEWAY_UPSTREAM'] ?? '');
  const here = script.replace("'/app/", `'${ROOT}/`).replace("'0.0.0.0'", "'127.0.0.1'").replace(url.port, '0');
  const child = spawn(process.execPath, [flag, `${here}.then(({ url }) => console.log(url.href))`]);
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  });

  const [line] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })) as [Buffer];
  const response = await fetch(String(line).trim());
  const { value } = (await response.body?.getReader().read()) ?? {};

  expect(services['old-server']?.entrypoint?.[0]).toBe(IMAGE.entrypoint[0]);
  expect(script).toContain(`port: ${url.port} `);
  expect(String(new URL(String(line)).pathname)).toBe(url.pathname);
  expect(Buffer.from(value ?? []).toString()).toMatch(/^event: endpoint\n/);
});

test('Prometheus finds its alerts, and Grafana its datasource and its dashboard', () => {
  const ofPrometheus = mounts('prometheus');
  const { rule_files: rules } = yamlOf(ofPrometheus['/etc/prometheus/prometheus.yaml'] ?? '') as {
    rule_files: string[];
  };
  const [flag] = services['prometheus']?.command ?? [];
  const ofGrafana = mounts('grafana');
  const provisioning = ofGrafana['/etc/grafana/provisioning'] ?? '';
  const { datasources } = yamlOf(join(provisioning, 'datasources/prometheus.yaml')) as {
    datasources: { type: string; url: string; isDefault: boolean }[];
  };
  const { providers } = yamlOf(join(provisioning, 'dashboards/causeway.yaml')) as {
    providers: { options: { path: string } }[];
  };
  const dashboard = Object.keys(ofGrafana).find((path) => path.endsWith('.json')) ?? '';

  expect(flag).toBe('--config.file=/etc/prometheus/prometheus.yaml');
  expect(rules.map((path) => ofPrometheus[path])).toEqual([join(ROOT, 'config/prometheus/alerts.yaml')]);
  expect(datasources).toMatchObject([{ type: 'prometheus', url: 'http://prometheus:9090', isDefault: true }]);
  expect(Object.keys(services)).toContain(new URL(datasources[0]?.url ?? '').hostname);
  expect(providers.map(({ options }) => options.path)).toEqual([dirname(dashboard)]);
  expect(ofGrafana[dashboard]).toBe(join(ROOT, 'config/grafana/causeway.json'));
  expect(services['grafana']?.environment['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']).toBe(dashboard);
});
