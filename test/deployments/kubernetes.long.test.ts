// The manifests as the real kubectl builds them: what kustomize.ts makes of them in the short tests is the same.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { output, takes } from '../support/installed.ts';
import { FOLDER, type Manifest, OVERLAYS, type Tree, built, isTree, mapped } from './kustomize.ts';

/** A copy, so that folders can be added; in the words of the kubectl that is there. */
function folder(): string {
  const copy = mkdtempSync(join(tmpdir(), 'causeway-kubernetes-'));
  onTestFinished(() => rmSync(copy, { recursive: true }));
  cpSync(FOLDER, copy, { recursive: true });
  mkdirSync(join(copy, 'overlays/with-monitor'));
  const withMonitor = { resources: ['../main'], components: ['../../components/pod-monitor'] };
  writeFileSync(
    join(copy, 'overlays/with-monitor/kustomization.yaml'),
    stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', ...withMonitor }),
  );
  // Debian's of 2020 has the kustomize of 2019 inside, with other words for the same.
  const { kustomizeVersion } = JSON.parse(output('kubectl', ['version', '--client', '-o', 'json'])) as Tree;
  if (kustomizeVersion === undefined) translate(copy);
  return copy;
}

function translate(copy: string): void {
  for (const path of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('kustomization.yaml')) continue;
    const file = join(copy, path);
    const { resources, components, patches, ...same } = parse(readFileSync(file, 'utf8')) as {
      resources: string[];
      components?: string[];
      patches?: { path: string }[];
    };
    const old = {
      ...same,
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      bases: [...resources.filter((each) => !each.endsWith('.yaml')), ...(components ?? [])],
      resources: resources.filter((each) => each.endsWith('.yaml')),
      patchesStrategicMerge: (patches ?? []).map(({ path: of }) => of),
    };
    writeFileSync(file, stringify(old));
  }
}

function kubectl(path: string): readonly Manifest[] {
  const text = output('kubectl', ['kustomize', path]);
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** In one order, and ConfigMaps by the names that they were given. */
function plain(manifests: readonly Manifest[]): unknown {
  const names = manifests.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name);
  const given = (name: unknown): unknown =>
    names.includes(String(name)) ? String(name).replace(/-[a-z0-9]{10}$/, '') : name;
  return sorted(mapped(manifests, (key, value) => (key === 'name' ? given(value) : value)));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).toSorted((one, other) => (textOf(one) < textOf(other) ? -1 : 1));
  if (!isTree(value)) return value;
  // The old one writes empty labels and annotations.
  const keys = Object.keys(value)
    .filter((key) => !isEmpty(value[key]))
    .toSorted();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}

function isEmpty(value: unknown): boolean {
  return isTree(value) && Object.keys(value).length === 0;
}

function textOf(value: unknown): string {
  return JSON.stringify(value);
}

test('kubectl builds every form, and what the short tests look at is the same', (context) => {
  takes(context, 'kubectl');
  const copy = folder();

  for (const overlay of OVERLAYS) {
    const path = join(copy, 'overlays', overlay);
    expect(plain(kubectl(path)), overlay).toEqual(plain(built(join(FOLDER, 'overlays', overlay))));
  }
});

test('the PodMonitor is added to a form as a component', (context) => {
  takes(context, 'kubectl');
  const copy = folder();

  const more = kubectl(join(copy, 'overlays/with-monitor'));

  const [monitor] = built(join(FOLDER, 'components/pod-monitor'));
  expect(more).toContainEqual(monitor);
  expect(more.length).toBe(built(join(FOLDER, 'overlays/main')).length + 1);
});

test('the name of the ConfigMap in a pod is that of the one which is made', (context) => {
  takes(context, 'kubectl');
  const manifests = kubectl(join(folder(), 'overlays/main'));
  const [made] = manifests.filter(({ kind }) => kind === 'ConfigMap');
  const [deployment] = manifests.filter(({ kind }) => kind === 'Deployment');

  expect(made?.metadata.name).toMatch(/^causeway-[a-z0-9]{10}$/);
  expect(JSON.stringify(deployment)).toContain(`"configMap":{"name":"${made?.metadata.name}"}`);
});
