// What config/kubernetes says, held to the API's types, to the image and to the program, which runs with it.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { Config } from '../../src/config/schema.ts';
import { configOf } from '../config/surroundings.ts';
import { createdSecret } from '../docs/containers.ts';
import { CALLER_KEY, PLACE, commandsOfKind } from '../docs/kinds.ts';
import { ROOT } from '../docs/pages.ts';
import { IMAGE, StandIns, start } from '../docs/run-container.ts';
import { freePort } from '../support/free-port.ts';
import { readScrape } from '../support/prometheus.ts';
import { file } from '../verbs/program.ts';
import { FOLDER, MODULES, type Manifest, OVERLAYS, type Overlay, built, the } from './kustomize.ts';
import { containerOf, podOf, portOf } from './pod.ts';

// A program starts in half a second, on a busy machine in ten times that.
vi.setConfig({ testTimeout: 60_000 });

const MANIFESTS = Object.fromEntries(
  OVERLAYS.map((overlay) => [overlay, built(join(FOLDER, 'overlays', overlay))]),
) as Record<Overlay, readonly Manifest[]>;
const WITH_STORE = built(join(FOLDER, 'components/store'), MANIFESTS.replicas);
/** As docs/deployment.md makes it. */
const SECRET = Object.assign(
  {},
  ...commandsOfKind('kubectl create').map(({ words }) => createdSecret(words, PLACE)['causeway'] ?? {}),
) as Readonly<Record<string, string>>;
/** The forms of more than one pod. */
const OF_SEVERAL = ['gateway', 'replicas'] as const;
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}';

function configIn(overlay: Overlay): Config {
  return configFrom(MANIFESTS[overlay], SECRET);
}

function configFrom(manifests: readonly Manifest[], secret: Readonly<Record<string, string>>): Config {
  const { env, files } = containerOf(manifests, secret);
  return configOf({ yaml: files[env['CAUSEWAY_CONFIG'] ?? ''] ?? '', env: { ...IMAGE.env, ...env }, files });
}

/** What tsc says of these as objects of the API, in which no member is unknown. */
function typeFaults(manifests: readonly Manifest[]): string {
  const types = join(ROOT, 'node_modules/kubernetes-types');
  const lines = manifests.flatMap((manifest, at) => {
    const module = MODULES[manifest.kind];
    if (module === undefined) throw new Error(`${manifest.kind}: of which module?`);
    if (module === null) return [];
    return [`export const _${at}: import('${types}/${module}.d.ts').${manifest.kind} = ${JSON.stringify(manifest)};`];
  });
  const source = file('', 'manifests.ts');
  writeFileSync(source, `${lines.join('\n')}\n`);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const args = ['--noEmit', '--strict', '--ignoreConfig', '--types', '', source];
  const { stdout, error } = spawnSync(tsc, args, { encoding: 'utf8', cwd: dirname(source) });
  if (error !== undefined) throw error;
  return stdout;
}

test('every object is one of the API, without a member that it does not have', () => {
  const all = [...OVERLAYS.flatMap((overlay) => MANIFESTS[overlay]), ...WITH_STORE];
  const misspelt = structuredClone(all).map((each) =>
    each.kind === 'Deployment' ? { ...each, spec: { ...the([each], 'Deployment').spec, stratgy: {} } } : each,
  );

  expect(typeFaults(all)).toBe('');
  expect(typeFaults(misspelt)).toMatch(/stratgy.* does not exist/);
});

test('the PodMonitor finds the pods, and the port and path of their metrics', () => {
  const labels = z.record(z.string(), z.string());
  const podMonitor = z.strictObject({
    apiVersion: z.literal('monitoring.coreos.com/v1'),
    kind: z.literal('PodMonitor'),
    metadata: z.strictObject({ name: z.string(), labels }),
    spec: z.strictObject({
      selector: z.strictObject({ matchLabels: labels }),
      jobLabel: z.string(),
      podMetricsEndpoints: z.tuple([
        z.strictObject({ port: z.string(), path: z.string(), interval: z.string().regex(/^\d+s$/) }),
      ]),
    }),
  });
  const [monitor] = built(join(FOLDER, 'components/pod-monitor'));
  const { spec } = podMonitor.parse(monitor);

  for (const overlay of OVERLAYS) {
    const { labels: ofPod, gateway, annotations } = podOf(MANIFESTS[overlay]);
    const [{ port, path }] = spec.podMetricsEndpoints;
    expect(ofPod).toMatchObject(spec.selector.matchLabels);
    expect(ofPod[spec.jobLabel]).toBe('causeway');
    expect(portOf(gateway, port)).toBe(configIn(overlay).admin?.port);
    expect(annotations).toEqual({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(configIn(overlay).admin?.port),
      'prometheus.io/path': path,
    });
  }
});

test.each(OVERLAYS)('%s: everything that selects pods selects these, and ports are those of the program', (overlay) => {
  const manifests = MANIFESTS[overlay];
  const { labels, gateway } = podOf(manifests);
  const { listen, admin, peers } = configIn(overlay);
  const open = [listen.port, admin?.port, ...(peers === undefined ? [] : [peers.port])];
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy').map(({ metadata }) => metadata.name);
  const services = manifests.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
  const isOne = manifests.every(({ kind }) => kind !== 'PodDisruptionBudget');
  const selectors = [
    the(manifests, 'Deployment').spec?.selector.matchLabels,
    ...services.map((name) => the(manifests, 'Service', name).spec?.selector),
    ...policies.map((name) => the(manifests, 'NetworkPolicy', name).spec?.podSelector.matchLabels),
    ...(isOne ? [] : [the(manifests, 'PodDisruptionBudget').spec?.selector?.matchLabels]),
  ];

  expect(isOne).toBe(!OF_SEVERAL.some((each) => each === overlay));
  for (const selector of selectors) {
    expect(Object.keys(selector ?? {}).length).toBeGreaterThan(0);
    expect(labels).toMatchObject(selector ?? {});
  }
  expect(gateway.ports?.map(({ containerPort }) => containerPort)).toEqual(open);
  expect(IMAGE.port).toBe(listen.port);
  const [toClients, toScraper, ...others] = the(manifests, 'NetworkPolicy').spec?.ingress ?? [];
  expect([toClients?.ports, toClients?.from]).toEqual([[{ protocol: 'TCP', port: listen.port }], undefined]);
  expect(toScraper?.ports).toEqual([{ protocol: 'TCP', port: admin?.port }]);
  expect([toScraper?.from?.length, others]).toEqual([1, []]);
});

test.each(OVERLAYS)('%s: nothing is allowed to the gateway that it does not need', (overlay) => {
  const manifests = MANIFESTS[overlay];
  const { spec, gateway } = podOf(manifests);
  const { securityContext } = gateway;

  expect(`${securityContext?.runAsUser}:${securityContext?.runAsGroup}`).toBe(IMAGE.user);
  expect(securityContext).toEqual({
    runAsNonRoot: true,
    runAsUser: 65_532,
    runAsGroup: 65_532,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
  expect(spec).toMatchObject({
    serviceAccountName: the(manifests, 'ServiceAccount').metadata?.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: { fsGroup: securityContext?.runAsGroup, seccompProfile: { type: 'RuntimeDefault' } },
  });
  expect(the(manifests, 'ServiceAccount').automountServiceAccountToken).toBe(false);
  expect((gateway.volumeMounts ?? []).filter(({ readOnly }) => readOnly !== true)).toEqual([]);
  // Owned by root, so the group must be able to read it, and nobody else needs to.
  for (const { secret } of spec.volumes ?? []) if (secret !== undefined) expect(secret.defaultMode).toBe(0o440);
});

test.each(OVERLAYS)('%s: the time to stop holds the drain, and the heap the half of the memory', (overlay) => {
  const { spec, gateway } = podOf(MANIFESTS[overlay]);
  const { drain } = configIn(overlay);
  const heap = /--max-old-space-size=(\d+)/.exec(gateway.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '');

  expect(drain.delay).toBeGreaterThan(0);
  expect((spec.terminationGracePeriodSeconds ?? 0) * 1000).toBeGreaterThan(drain.delay + drain.timeout + 5000);
  expect(`${2 * Number(heap?.[1])}Mi`).toBe(gateway.resources?.limits?.['memory']);
  expect(gateway.resources?.limits).not.toHaveProperty('cpu');
});

test('the old server of the sidecar form waits for the drain of the gateway, and is killed by nothing before that', () => {
  const { spec } = podOf(MANIFESTS.sidecar);
  const { drain } = configIn('sidecar');
  const [server] = spec.containers.filter(({ name }) => name === 'old-server');
  const [sleep, seconds] = server?.lifecycle?.preStop?.exec?.command ?? [];

  expect(sleep).toBe('sleep');
  expect(Number(seconds) * 1000).toBeGreaterThan(drain.delay + drain.timeout);
  expect(Number(seconds)).toBeLessThan(spec.terminationGracePeriodSeconds ?? 0);
});

test('the old server of the main form is an init container that stays, of which the gateway is not one', () => {
  const { spec } = podOf(MANIFESTS.main);

  expect(spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
    ['old-server', 'Always'],
  ]);
  expect(spec.containers.map(({ name }) => name)).toEqual(['causeway']);
});

test.each(OF_SEVERAL)(
  '%s: the autoscaler has the Deployment for itself, and nodes are drained one by one',
  (overlay) => {
    const manifests = MANIFESTS[overlay];
    const { spec } = the(manifests, 'HorizontalPodAutoscaler');

    expect(spec?.scaleTargetRef.name).toBe(the(manifests, 'Deployment').metadata?.name);
    expect(the(manifests, 'Deployment').spec).not.toHaveProperty('replicas');
    expect(spec?.minReplicas).toBeGreaterThan(1);
    expect(podOf(manifests).gateway.resources?.requests).toHaveProperty('cpu');
    expect(the(manifests, 'PodDisruptionBudget').spec?.maxUnavailable).toBe(1);
  },
);

test.each(OF_SEVERAL)(
  '%s: a new pod is ready before an old one goes, on another node where there is one',
  (overlay) => {
    const { strategy, template } = the(MANIFESTS[overlay], 'Deployment').spec ?? {};
    const [spread, ...more] = template?.spec?.topologySpreadConstraints ?? [];

    expect(strategy?.rollingUpdate).toMatchObject({ maxUnavailable: 0 });
    expect([spread?.topologyKey, spread?.maxSkew, more]).toEqual(['kubernetes.io/hostname', 1, []]);
    expect(template?.metadata?.labels).toMatchObject(spread?.labelSelector?.matchLabels ?? { none: '' });
  },
);

test.each(OF_SEVERAL)('%s: may reach the ports of its servers and what resolves names, and no more', (overlay) => {
  const rules = the(MANIFESTS[overlay], 'NetworkPolicy', 'causeway-egress').spec?.egress ?? [];
  const urls = configIn(overlay).upstreams.flatMap((upstream) => upstream.urls);
  const ports = rules.flatMap((rule) => (rule.ports ?? []).map(({ port }) => port));

  expect(ports).toEqual([53, 53, ...new Set(urls.map(({ port }) => Number(port)))]);
  expect(new Set(urls.map(({ hostname }) => hostname.split('.')[1]))).toEqual(new Set(['old-servers']));
});

test('replicas find each other by a name that has the address of every pod, ready or not', () => {
  const manifests = MANIFESTS.replicas;
  const { peers, listen } = configIn('replicas');
  const { gateway } = podOf(manifests);
  const [host = '', port = ''] = (peers?.dns ?? '').split(':');
  const { spec } = the(manifests, 'Service', host);

  expect(spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
  expect(spec?.ports?.map((each) => [each.port, portOf(gateway, each.targetPort ?? '')])).toEqual([
    [Number(port), peers?.port],
  ]);
  // What the cluster says of the pod, as the others dial it: without the Service, which is no address of one.
  expect([peers?.host, peers?.self]).toEqual([listen.host, `127.0.0.1:${port}`]);
  expect(peers?.port).toBe(Number(port));
});

test('nobody but the replicas reaches the port where they reach each other', () => {
  const policies = MANIFESTS.replicas.filter(({ kind }) => kind === 'NetworkPolicy');
  const { peers } = configIn('replicas');
  const pods = { podSelector: { matchLabels: podOf(MANIFESTS.replicas).labels } };
  const rules = policies.flatMap(({ metadata }) => {
    const { ingress = [], egress = [] } = the(MANIFESTS.replicas, 'NetworkPolicy', metadata.name).spec ?? {};
    return [
      ...ingress.map(({ from, ports = [] }) => ({ to: 'us', whom: from, ports: ports.map(({ port }) => port) })),
      ...egress.map(({ to, ports = [] }) => ({ to: 'others', whom: to, ports: ports.map(({ port }) => port) })),
    ];
  });

  const forPeers = rules.filter(({ ports }) => ports.length === 0 || ports.includes(peers?.port));

  expect(forPeers).toEqual([
    { to: 'us', whom: [pods], ports: [peers?.port] },
    { to: 'others', whom: [pods], ports: [peers?.port] },
  ]);
});

test('clients of replicas are sent anywhere, and those of the form without peers where they were before', () => {
  const affinityOf = (overlay: Overlay): unknown[] => {
    const { sessionAffinity, sessionAffinityConfig } = the(MANIFESTS[overlay], 'Service').spec ?? {};
    return [sessionAffinity, sessionAffinityConfig?.clientIP?.timeoutSeconds];
  };

  expect(affinityOf('replicas')).toEqual(['None', undefined]);
  expect(affinityOf('gateway')).toEqual(['ClientIP', 10_800]);
});

test('what the replicas share is in the Secret: the key that seals, and with the component the store', () => {
  const url = 'rediss://causeway:s3cret@redis.redis.svc:6379/0';

  const { store, secrets } = configFrom(WITH_STORE, { ...SECRET, store: url });

  expect([store?.url.href, store?.prefix]).toEqual([url, 'causeway']);
  expect(secrets?.current).toBe(SECRET['sealing']?.trim());
  expect([configIn('replicas').store, configIn('replicas').secrets]).toEqual([undefined, secrets]);
  const { podSelector, egress } = the(WITH_STORE, 'NetworkPolicy', 'causeway-store').spec ?? {};
  expect(podOf(WITH_STORE).labels).toMatchObject(podSelector?.matchLabels ?? { none: '' });
  expect(egress?.map(({ to, ports }) => [to?.length, ports])).toEqual([
    [1, [{ protocol: 'TCP', port: Number(store?.url.port) }]],
  ]);
});

test.each(OVERLAYS)(
  '%s: the program runs so, answers its probes, and lets in who is in the Secret',
  async (overlay) => {
    const container = containerOf(MANIFESTS[overlay], SECRET);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const standIns = new StandIns();
    // A port of this machine may be taken.
    const peersPort = configIn(overlay).peers === undefined ? {} : { CAUSEWAY_PEERS_PORT: String(await freePort()) };
    const env = { ...container.env, CAUSEWAY_ADMIN: '127.0.0.1:0', ...peersPort };

    const started = await start({ ...container, env }, standIns);

    expect(container.image).toBe(`registry.example.com/causeway:${version}`);
    for (const { path, port } of container.probes) {
      const { status } = await fetch(`http://127.0.0.1:${started.port}${path}`);
      expect([path, port, status]).toEqual([path, container.port, 200]);
    }
    expect(started.endpoints.length).toBe(configIn(overlay).upstreams.length);
    for (const { endpoint } of started.endpoints) {
      expect(await called(endpoint, { authorization: `Bearer ${CALLER_KEY}` })).toEqual([200, '5']);
      expect(await called(endpoint, {})).toEqual([401, undefined]);
    }
    const [, admin] = await started.program.says(/"admin":"(http:\/\/127\.0\.0\.1:\d+)"/);
    const scraped = readScrape(await (await fetch(`${admin}/metrics`)).text());
    expect(scraped.sum('causeway_upstream_up')).toBe(configIn(overlay).upstreams.length);
    expect(started.program.stderr()).not.toContain('without authentication');
    started.program.child.kill('SIGKILL');
  },
);

async function called(
  endpoint: string,
  headers: Record<string, string>,
): Promise<[status: number, text: string | undefined]> {
  const type = { 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(20_000);
  const response = await fetch(endpoint, { method: 'POST', headers: { ...type, ...headers }, body: CALL, signal });
  const { result } = (await response.json()) as { result?: { content: { text: string }[] } };
  return [response.status, result?.content[0]?.text];
}
