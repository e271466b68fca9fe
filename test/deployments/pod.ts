// A Deployment's pod, as what is started in it: for the gateway a container as those of the docs are.

import type { Container as KubernetesContainer, PodSpec } from 'kubernetes-types/core/v1.d.ts';
import type { Container } from '../docs/containers.ts';
import { type Manifest, the } from './kustomize.ts';

export const GATEWAY = 'causeway';
export const OLD_SERVER = 'old-server';

export interface Pod {
  readonly spec: PodSpec;
  readonly gateway: KubernetesContainer;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function podOf(manifests: readonly Manifest[]): Pod {
  const { template } = the(manifests, 'Deployment').spec ?? {};
  const { spec, metadata } = template ?? {};
  if (spec === undefined) throw new Error('a Deployment without a pod');
  const gateway = found(spec.containers, GATEWAY);
  return { spec, gateway, labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} };
}

/** What the cluster tells a pod of itself. */
const OF_POD: Readonly<Record<string, string>> = { 'status.podIP': '127.0.0.1' };

/** `secret`: what was put into the Secret, by key. */
export function containerOf(manifests: readonly Manifest[], secret: Readonly<Record<string, string>>): Container {
  const { spec, gateway } = podOf(manifests);
  const { image = '', securityContext } = gateway;
  const env = (gateway.env ?? []).map(({ name, value, valueFrom }) => {
    const { secretKeyRef, fieldRef } = valueFrom ?? {};
    if (secretKeyRef !== undefined) return [name, known(secret, secretKeyRef.key)];
    return [name, fieldRef === undefined ? (value ?? '') : known(OF_POD, fieldRef.fieldPath)];
  });
  const files = (gateway.volumeMounts ?? []).flatMap(({ name, mountPath }) => {
    const { configMap, secret: ofSecret } = found(spec.volumes ?? [], name);
    const entries =
      configMap === undefined
        ? (ofSecret?.items ?? []).map(({ key, path }) => [path, known(secret, key)] as const)
        : Object.entries(the(manifests, 'ConfigMap', configMap.name).data ?? {});
    return entries.map(([path, text]) => [`${mountPath}/${path}`, text]);
  });
  const probes = [gateway.livenessProbe, gateway.readinessProbe].map((probe) => {
    const { path = '', port = '' } = probe?.httpGet ?? {};
    return { path, port: portOf(gateway, port) };
  });
  const [service] = the(manifests, 'Service').spec?.ports ?? [];
  return {
    image,
    args: gateway.args ?? [],
    env: Object.fromEntries(env) as Record<string, string>,
    files: Object.fromEntries(files) as Record<string, string>,
    port: portOf(gateway, service?.targetPort ?? ''),
    isReadOnly: securityContext?.readOnlyRootFilesystem === true,
    hasNoCapability:
      securityContext?.capabilities?.drop?.join() === 'ALL' && securityContext.capabilities.add === undefined,
    probes,
    // What goes before the signal counts.
    stopMs: (spec.terminationGracePeriodSeconds ?? 30) * 1000,
  };
}

/** A port by its name, as Services and probes give it. */
export function portOf({ ports = [] }: KubernetesContainer, port: string | number): number {
  return typeof port === 'number'
    ? port
    : found(ports as readonly { name: string; containerPort: number }[], port).containerPort;
}

export function found<Item extends { readonly name?: string }>(items: readonly Item[], name: string): Item {
  const [item, ...more] = items.filter((each) => each.name === name);
  if (item === undefined || more.length > 0) throw new Error(`${name} is not there once`);
  return item;
}

function known(values: Readonly<Record<string, string>>, key: string): string {
  const value = values[key];
  if (value === undefined) throw new Error(`nothing has ${key}`);
  return value;
}
