// The manifests as the real kubectl builds them: what kustomize.ts makes of them in the short tests is the same.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { output, takes } from '../support/installed.ts';
import { FOLDER, type Manifest, OVERLAYS, type Tree, built, isTree, mapped } from './kustomize.ts';

/** Forms as somebody makes them: a folder's name, the overlay that it is on, and the component that it adds. */
const WITH_COMPONENTS = [
  ['with-monitor', 'main', 'pod-monitor'],
  ['with-store', 'replicas', 'store'],
] as const;

/** A copy, so that folders can be added; in the words of the kubectl that is there. */
function folder(): string {
  const copy = mkdtempSync(join(tmpdir(), 'causeway-kubernetes-'));
  onTestFinished(() => rmSync(copy, { recursive: true }));
  cpSync(FOLDER, copy, { recursive: true });
  for (const [name, overlay, component] of WITH_COMPONENTS) {
    mkdirSync(join(copy, 'overlays', name));
    const added = { resources: [`../${overlay}`], components: [`../../components/${component}`] };
    writeFileSync(
      join(copy, 'overlays', name, 'kustomization.yaml'),
      stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', ...added }),
    );
  }
  // Debian's of 2020 has the kustomize of 2019 inside, with other words for the same.
  const { kustomizeVersion } = JSON.parse(output('kubectl', ['version', '--client', '-o', 'json'])) as Tree;
  if (kustomizeVersion === undefined) translate(copy);
  return copy;
}

function translate(copy: string): void {
  const files = readdirSync(copy, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('kustomization.yaml'),
  );
  const read = (file: string): Kustomization => {
    const { components = [], patches = [], ...same } = parse(readFileSync(file, 'utf8')) as Kustomization;
    return { ...same, components, patches };
  };
  // Components last: what they are made of is read from them before.
  for (const file of files.map((path) => join(copy, path)).toSorted((one) => (one.includes('/components/') ? 1 : -1))) {
    const { resources, components = [], patches = [], ...same } = read(file);
    // It knows no components: what they hold becomes the overlay's own.
    const own = components.map((path) => {
      const from = join(dirname(file), path);
      const held = read(join(from, 'kustomization.yaml'));
      for (const each of [...held.resources, ...(held.patches ?? []).map(({ path: of }) => of)])
        cpSync(join(from, each), join(dirname(file), each));
      return held;
    });
    const old = {
      ...same,
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      bases: resources.filter((each) => !each.endsWith('.yaml')),
      resources: [...resources.filter((each) => each.endsWith('.yaml')), ...own.flatMap((each) => each.resources)],
      patchesStrategicMerge: [...patches, ...own.flatMap((each) => each.patches ?? [])].map(({ path: of }) => of),
    };
    writeFileSync(file, stringify(old));
  }
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly path: string }[];
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

test.for(WITH_COMPONENTS)('%s: to the form %s the component %s is added', ([name, overlay, component], context) => {
  takes(context, 'kubectl');
  const before = built(join(FOLDER, 'overlays', overlay));
  const more = built(join(FOLDER, 'components', component), before);

  expect(more.length).toBe(before.length + 1);
  expect(plain(kubectl(join(folder(), 'overlays', name)))).toEqual(plain(more));
});

test('the name of the ConfigMap in a pod is that of the one which is made', (context) => {
  takes(context, 'kubectl');
  const manifests = kubectl(join(folder(), 'overlays/main'));
  const [made] = manifests.filter(({ kind }) => kind === 'ConfigMap');
  const [deployment] = manifests.filter(({ kind }) => kind === 'Deployment');

  expect(made?.metadata.name).toMatch(/^causeway-[a-z0-9]{10}$/);
  expect(JSON.stringify(deployment)).toContain(`"configMap":{"name":"${made?.metadata.name}"}`);
});
