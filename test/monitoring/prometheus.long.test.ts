// The dashboard and the alerts in the real Prometheus: rules that it takes, that fire and do not, and queries that find
// something when the running program is scraped.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { ROOT } from '../docs/pages.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { PATH, output, takes } from '../support/installed.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { startRedis } from '../support/redis.ts';
import { file, run } from '../verbs/program.ts';
import { ALERT_CASES } from './alert-cases.ts';
import { ALERTS, ALERTS_FILE, DASHBOARD, filledIn } from './promql.ts';

const WAIT_MS = 60_000;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'causeway-prometheus-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test('promtool takes the rules, and the configuration for compose', (context) => {
  takes(context, 'promtool');
  const text = readFileSync(join(ROOT, 'config/compose/prometheus.yaml'), 'utf8');
  const config = join(folder(), 'prometheus.yaml');
  writeFileSync(config, text.replace('/etc/prometheus/alerts.yaml', ALERTS_FILE));

  expect(output('promtool', ['check', 'rules', ALERTS_FILE])).toContain(`${ALERTS.length} rules found`);
  expect(output('promtool', ['check', 'config', config])).toContain('is valid prometheus config file syntax');
});

test('each alert fires when it should, and not when it should not', (context) => {
  takes(context, 'promtool');
  const path = join(folder(), 'tests.yaml');
  const of = (alert: string, at: string, series: Readonly<Record<string, string>>, firing: number): object => ({
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}", alertstate="firing"}) or vector(0)`,
        eval_time: at,
        exp_samples: [{ value: firing }],
      },
    ],
  });
  const tests = ALERT_CASES.flatMap(({ alert, at, fires, quiet }) => [
    of(alert, at, fires, 1),
    of(alert, at, quiet, 0),
  ]);
  writeFileSync(path, stringify({ rule_files: [ALERTS_FILE], evaluation_interval: '1m', tests }));

  expect(tests.length).toBe(2 * ALERTS.length);
  expect(output('promtool', ['test', 'rules', path])).toContain('SUCCESS');
});

test('every query of the dashboard and of the alerts finds something in what the program tells', async (context) => {
  const { admin } = await busyGateway(context);
  const prometheus = await startPrometheus(admin);
  const queries = [
    ...DASHBOARD.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, filledIn(expr)] as const),
    ),
    // Whatever it is compared with: it is about what is compared.
    ...ALERTS.map(({ alert, expr }) => [alert, expr.replaceAll(/ (?:==|>) [\d.]+/g, ' >= bool -1')] as const),
  ];

  const empty: string[] = [];
  for (const [title, query] of queries) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: the first waits for the scrapes of all
    const found = await eventually(10_000, async () => ((await prometheus.query(query)) > 0 ? true : null));
    if (found === null) empty.push(`${title}: ${query}`);
  }

  expect(empty).toEqual([]);
  expect(queries.length).toBeGreaterThan(60);
  const rules = await prometheus.rules();
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  // A scrape that came late makes one evaluation without it.
  const down = await eventually(10_000, async () => {
    const { alerts = [] } = (await prometheus.rules()).find(({ name }) => name === 'CausewayUpstreamDown') ?? {};
    return alerts.length === 0 ? null : alerts;
  });
  expect(down).toMatchObject([{ state: 'pending', labels: { upstream: 'broken' } }]);
});

/** A gateway that has been asked everything which makes a series: a good server, one that is away, old and new clients. */
async function busyGateway(context: TestContext): Promise<{ readonly admin: string }> {
  takes(context, 'prometheus', 'redis-server');
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const redis = await startRedis();
  const [own, others] = [await freePort(), await freePort()];
  const addresses = `[127.0.0.1:${own}, 127.0.0.1:${others}]`;
  const yaml = file(`
listen: { port: 0 }
admin: { port: 0 }
secrets: { current: '${randomBytes(32).toString('base64')}' }
peers: { port: ${own}, addresses: ${addresses} }
store: '${redis.url()}'
upstreams:
  - { name: billing, path: /billing, url: '${upstream.url.href}', legacy: { sse: /sse, messages: /messages } }
  - { name: broken, path: /broken, url: 'http://127.0.0.1:1/sse' }
`);
  const program = run('serve', '-c', yaml, '--log-format', 'json');
  await program.says(/"upstream reached"/);
  const [, admin = ''] = await program.says(/"admin":"http:\/\/([^"]+)"/);
  const [, endpoint = ''] = await program.says(/"endpoint":"([^"]+)\/billing"/);

  await run('serve', '-c', yaml, '--peers-port', String(others), '--log-format', 'json').says(/"upstream reached"/);
  // Somebody who is no replica.
  const knocking = await fetch(`http://127.0.0.1:${own}/billing`, { signal: AbortSignal.timeout(WAIT_MS) });
  const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(endpoint + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body,
      signal: AbortSignal.timeout(WAIT_MS),
    });
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';
  await post('/billing', call);
  await post('/broken', call);
  await post('/billing', 'no JSON');
  // What a page of another site would come with.
  const strange = request(endpoint, { path: '/billing', headers: { host: 'elsewhere.example' } }).end();
  const [refused] = (await once(strange, 'response')) as [IncomingMessage];
  refused.resume();
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const opened = await post('/billing', JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  await post('/billing', '{"jsonrpc":"2.0","method":"notifications/initialized"}', session);
  const streaming = { accept: 'text/event-stream' };
  const stream = await fetch(`${endpoint}/billing`, { headers: { ...session, ...streaming } });
  await fetch(`${endpoint}/billing`, { method: 'DELETE', headers: session });
  const old = await fetch(`${endpoint}/sse`, { headers: streaming });
  await old.body?.cancel();
  await stream.body?.cancel();
  const all = [refused.statusCode, opened.status, stream.status, old.status, knocking.status];
  expect(all).toEqual([403, 200, 200, 200, 403]);
  return { admin };
}

interface Prometheus {
  /** How many series a query finds. */
  query(query: string): Promise<number>;
  rules(): Promise<readonly { readonly name: string; readonly health: string; readonly alerts: readonly unknown[] }[]>;
}

async function startPrometheus(target: string): Promise<Prometheus> {
  const place = folder();
  const config = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms', evaluation_interval: '500ms' },
    rule_files: [ALERTS_FILE],
    scrape_configs: [{ job_name: 'causeway', static_configs: [{ targets: [target] }] }],
  };
  writeFileSync(join(place, 'prometheus.yaml'), stringify(config));
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${place}/prometheus.yaml`,
      `--storage.tsdb.path=${place}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { env: { PATH }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stderr.on('data', (piece) => (said += String(piece)));
  if ((await eventually(WAIT_MS, () => /ready to receive web requests/.exec(said))) === null) throw new Error(said);
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { signal: AbortSignal.timeout(WAIT_MS) });
    const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string };
    if (status !== 'success') throw new Error(error);
    return data;
  };
  return {
    async query(query) {
      const { result } = (await get(`query?query=${encodeURIComponent(query)}`)) as { result: readonly unknown[] };
      return result.length;
    },
    async rules() {
      const { groups } = (await get('rules')) as {
        groups: readonly { readonly rules: Awaited<ReturnType<Prometheus['rules']>> }[];
      };
      return groups.flatMap(({ rules }) => rules);
    },
  };
}
