// Builds a folder of config/kubernetes as `kubectl kustomize` does, as far as ours go: what is not known here is an error.
// kubernetes.long.test.ts holds it to the real one, so that the rest can be tested where there is no kubectl.

import { readFileSync } from 'node:fs';
import { basename, join, normalize } from 'node:path';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.d.ts';
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts';
import type { ConfigMap, Service, ServiceAccount } from 'kubernetes-types/core/v1.d.ts';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.d.ts';
import { parse } from 'yaml';
import { z } from 'zod';
import { ROOT } from '../docs/pages.ts';

export const FOLDER = join(ROOT, 'config/kubernetes');
export const OVERLAYS = ['sidecar', 'main', 'gateway', 'replicas'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** Each kind that there is, with the module of kubernetes-types that has it; of one without, its operator has the type. */
export const MODULES: Readonly<Record<string, string | null>> = {
  ServiceAccount: 'core/v1',
  ConfigMap: 'core/v1',
  Service: 'core/v1',
  Deployment: 'apps/v1',
  NetworkPolicy: 'networking/v1',
  PodDisruptionBudget: 'policy/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  PodMonitor: null,
};

interface Kinds {
  readonly ServiceAccount: ServiceAccount;
  readonly ConfigMap: ConfigMap;
  readonly Service: Service;
  readonly Deployment: Deployment;
  readonly NetworkPolicy: NetworkPolicy;
  readonly PodDisruptionBudget: PodDisruptionBudget;
  readonly HorizontalPodAutoscaler: HorizontalPodAutoscaler;
}

export type Tree = { [key: string]: unknown };
export interface Manifest extends Tree {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

const kustomization = z.strictObject({
  apiVersion: z.enum(['kustomize.config.k8s.io/v1beta1', 'kustomize.config.k8s.io/v1alpha1']),
  kind: z.enum(['Kustomization', 'Component']),
  resources: z.array(z.string()),
  components: z.array(z.string()).default([]),
  patches: z.array(z.strictObject({ path: z.string() })).default([]),
  configMapGenerator: z
    .array(z.strictObject({ name: z.string(), behavior: z.literal('replace').optional(), files: z.array(z.string()) }))
    .default([]),
  images: z.array(z.strictObject({ name: z.string(), newName: z.string(), newTag: z.string() })).default([]),
});

/**
 * What `kubectl apply -k` would give the cluster, but for the digests in the names of ConfigMaps. `before`: what a component
 * is added to.
 */
export function built(folder: string, before: readonly Manifest[] = []): readonly Manifest[] {
  const read = kustomization.parse(yamlOf(join(folder, 'kustomization.yaml')));
  let manifests = [
    ...before,
    ...read.resources.flatMap((path) =>
      path.endsWith('.yaml') ? [yamlOf(join(folder, path)) as Manifest] : built(normalize(join(folder, path))),
    ),
  ];
  for (const path of read.components) manifests = [...built(normalize(join(folder, path)), manifests)];
  for (const { path } of read.patches) {
    const patch = yamlOf(join(folder, path)) as Manifest;
    const at = manifests.findIndex((each) => isSame(each, patch));
    if (at < 0) throw new Error(`${path} is for nothing that is there`);
    manifests[at] = merged(manifests[at], patch) as Manifest;
  }
  for (const { name, behavior, files } of read.configMapGenerator) {
    const data = Object.fromEntries(files.map((file) => [basename(file), readFileSync(join(folder, file), 'utf8')]));
    const made: Manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
    const at = manifests.findIndex((each) => isSame(each, made));
    if ((behavior === 'replace') !== at >= 0) throw new Error(`ConfigMap ${name}: is it there before?`);
    if (at < 0) manifests.push(made);
    else manifests[at] = made;
  }
  return manifests.map((manifest) => {
    const of = (image: unknown): unknown => {
      const known = read.images.find(({ name }) => name === image);
      return known === undefined ? image : `${known.newName}:${known.newTag}`;
    };
    return mapped(manifest, (key, value) => (key === 'image' ? of(value) : value)) as Manifest;
  });
}

/** The only one of its kind; with a name where there are several. */
export function the<Kind extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: Kind,
  name = 'causeway',
): Kinds[Kind] {
  const [found, ...more] = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined || more.length > 0) throw new Error(`${more.length} more of ${kind} ${name}`);
  // Held to its type by tsc, in kubernetes.test.ts.
  return found as unknown as Kinds[Kind];
}

function yamlOf(file: string): unknown {
  return parse(readFileSync(file, 'utf8'));
}

function isSame(one: Manifest, other: Manifest): boolean {
  return one.kind === other.kind && one.metadata.name === other.metadata.name;
}

/** Lists whose elements are known by their names; a patch replaces any other list. */
const BY_NAME = new Set(['containers', 'initContainers', 'volumes', 'env']);
/** As `BY_NAME`, by another member. */
const BY: Readonly<Record<string, string>> = { volumeMounts: 'mountPath', ports: 'containerPort' };

function merged(into: unknown, patch: unknown, under = ''): unknown {
  if (Array.isArray(patch)) {
    const by = BY_NAME.has(under) ? 'name' : BY[under];
    const before = (into ?? []) as readonly Tree[];
    if (by === undefined) return patch;
    const added = patch as readonly Tree[];
    const kept = before.map((each) => {
      const change = added.find((other) => other[by] === each[by]);
      return change === undefined ? each : merged(each, change);
    });
    return [...kept, ...added.filter((other) => !before.some((each) => each[by] === other[by]))];
  }
  if (!isTree(patch) || !isTree(into)) return patch;
  const entries = Object.entries(patch).map(([key, value]) => [key, merged(into[key], value, key)] as const);
  const all = Object.entries({ ...into, ...Object.fromEntries(entries) });
  // A patch takes out what it says is null.
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every member of every object in it, changed. */
export function mapped(value: unknown, change: (key: string, value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => mapped(each, change));
  if (!isTree(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mapped(change(key, each), change)]));
}
