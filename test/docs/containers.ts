// `docker run`, compose.yaml and a pod, taken apart into what each would start: environment, arguments, files, port. What
// is not known here is an error: a flag that nobody looked at could say anything.

import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { splitAt } from './shell-commands.ts';

export interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** By their paths inside. */
  readonly files: Readonly<Record<string, string>>;
  /** That it must listen on to be reached. */
  readonly port: number;
  /** Its root, or all of it. */
  readonly isReadOnly: boolean;
  readonly hasNoCapability: boolean;
  readonly healthcheck?: readonly string[];
  /** Asked by whoever runs it. */
  readonly probes: readonly { readonly path: string; readonly port: number }[];
  /** How long it is given to stop. */
  readonly stopMs: number;
}

/** What is there before: files by name, and the variables of the shell. */
export interface Place {
  readonly files: Readonly<Record<string, string>>;
  readonly variables: Readonly<Record<string, string>>;
}

/** What docker gives a container to stop. */
const DOCKER_STOP_MS = 10_000;

export function dockerRun(words: readonly string[], place: Place): Container {
  const [docker, run, ...rest] = words;
  if (docker !== 'docker' || run !== 'run') throw new Error(`not docker run: ${words.join(' ')}`);
  const env: Record<string, string> = {};
  const files: Record<string, string> = {};
  const flags: string[] = [];
  let port = 0;
  while (rest[0]?.startsWith('-') === true) {
    const flag = rest.shift() ?? '';
    if (flag === '--rm' || flag === '--read-only') flags.push(flag);
    else if (flag === '--cap-drop' || flag === '--security-opt') flags.push(`${flag} ${rest.shift()}`);
    else if (flag === '-p') port = publishedPort(rest.shift() ?? '');
    else if (flag === '-e') {
      const [name, value] = splitAt(rest.shift() ?? '', '=');
      env[name] = value === '' ? known(place.variables, name) : value;
    } else if (flag === '-v') {
      const [from = '', to = '', mode] = (rest.shift() ?? '').split(':');
      if (mode !== 'ro') throw new Error(`${to} is mounted to be written to`);
      const folder = `${known(place.variables, 'PWD')}/`;
      if (!from.startsWith(folder)) throw new Error(`docker takes ${from} for the name of a volume`);
      files[to] = known(place.files, from.slice(folder.length));
    } else throw new Error(`docker run ${flag}: not known here`);
  }
  const strange = flags.filter(
    (flag) => !/^--(?:rm|read-only|cap-drop ALL|security-opt no-new-privileges)$/.test(flag),
  );
  if (strange.length > 0) throw new Error(`not known here: ${strange.join(', ')}`);
  const [image = '', ...args] = rest;
  return {
    image,
    args,
    env,
    files,
    port,
    isReadOnly: flags.includes('--read-only'),
    hasNoCapability: flags.includes('--cap-drop ALL'),
    probes: [],
    stopMs: DOCKER_STOP_MS,
  };
}

const SECONDS = z.string().regex(/^\d+s$/);

const composeFile = z.strictObject({
  services: z.record(
    z.string(),
    z.strictObject({
      image: z.string(),
      entrypoint: z.array(z.string()).optional(),
      command: z.array(z.string()).optional(),
      depends_on: z.array(z.string()).optional(),
      volumes: z.array(z.string()).default([]),
      profiles: z.array(z.string()).default([]),
      secrets: z.array(z.string()).default([]),
      user: z
        .string()
        .regex(/^\d+:\d+$/)
        .optional(),
      tmpfs: z.array(z.string()).optional(),
      init: z.literal(true).optional(),
      mem_limit: z
        .string()
        .regex(/^\d+m$/)
        .optional(),
      build: z.literal('.').optional(),
      ports: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.string()).default({}),
      read_only: z.boolean().default(false),
      cap_drop: z.array(z.literal('ALL')).default([]),
      security_opt: z.array(z.literal('no-new-privileges:true')).optional(),
      healthcheck: z
        .union([
          z.strictObject({ test: z.tuple([z.literal('CMD')], z.string()), interval: SECONDS, timeout: SECONDS }),
          z.strictObject({ disable: z.literal(true) }),
        ])
        .optional(),
      stop_grace_period: SECONDS.optional(),
      restart: z.enum(['unless-stopped', 'always', 'on-failure', 'no']).optional(),
    }),
  ),
  volumes: z.record(z.string(), z.null()).optional(),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })).optional(),
});

export type ComposeFile = z.infer<typeof composeFile>;

export function composeFileIn(text: string): ComposeFile {
  // `$` would be for compose to replace.
  if (
    text
      .replaceAll(/^ *#.*$/gm, '')
      .replaceAll('$$', '')
      .includes('$')
  )
    throw new Error('compose puts its own variables there');
  return composeFile.parse(parse(text, { merge: true }));
}

/** The gateway in a compose.yaml, and the names under which the others are reached from it. */
export function composed(text: string, image: string): { readonly gateway: Container; readonly others: string[] } {
  // Without a profile that somebody asks for.
  const services = Object.entries(composeFileIn(text).services).filter(([, { profiles }]) => profiles.length === 0);
  // With another entry point the image is something else.
  const [name, service] = only(services.filter(([, each]) => each.image === image && each.entrypoint === undefined));
  if (service.command !== undefined || service.volumes.length > 0) throw new Error('not known here of a gateway');
  const [published] = only((service.ports ?? []).map((each) => [each] as const));
  const stop = service.stop_grace_period;
  return {
    gateway: {
      image: service.image,
      args: [],
      env: service.environment,
      files: {},
      port: publishedPort(published),
      isReadOnly: service.read_only,
      hasNoCapability: service.cap_drop.includes('ALL'),
      ...(service.healthcheck && 'test' in service.healthcheck && { healthcheck: service.healthcheck.test.slice(1) }),
      probes: [],
      stopMs: stop === undefined ? DOCKER_STOP_MS : Number.parseInt(stop, 10) * 1000,
    },
    others: services.map(([each]) => each).filter((each) => each !== name),
  };
}

const labels = z.record(z.string(), z.string());
const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string(), port: z.string() }),
  periodSeconds: z.number().optional(),
});
const deployment = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('Deployment'),
  metadata: z.strictObject({ name: z.string() }),
  spec: z.strictObject({
    replicas: z.literal(1),
    selector: z.strictObject({ matchLabels: labels }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.strictObject({
        automountServiceAccountToken: z.literal(false),
        terminationGracePeriodSeconds: z.number(),
        // Goes for the server too, which may need to be root.
        securityContext: z.strictObject({ seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }) }),
        // With this policy it starts before the containers and stops after them.
        initContainers: z.array(
          z.strictObject({ name: z.string(), image: z.string(), restartPolicy: z.literal('Always') }),
        ),
        containers: z.array(
          z.strictObject({
            name: z.string(),
            image: z.string(),
            ports: z.array(z.strictObject({ name: z.string(), containerPort: z.number() })),
            env: z.array(
              z.union([
                z.strictObject({ name: z.string(), value: z.string() }),
                z.strictObject({
                  name: z.string(),
                  valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name: z.string(), key: z.string() }) }),
                }),
              ]),
            ),
            livenessProbe: probe,
            readinessProbe: probe,
            securityContext: z.strictObject({
              runAsNonRoot: z.literal(true),
              runAsUser: z.number(),
              runAsGroup: z.number(),
              readOnlyRootFilesystem: z.literal(true),
              allowPrivilegeEscalation: z.literal(false),
              capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
            }),
            volumeMounts: z.array(
              z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.literal(true) }),
            ),
          }),
        ),
        volumes: z.array(
          z.strictObject({
            name: z.string(),
            secret: z.strictObject({
              secretName: z.string(),
              items: z.array(z.strictObject({ key: z.string(), path: z.string() })),
            }),
          }),
        ),
      }),
    }),
  }),
});
const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata: z.strictObject({ name: z.string() }),
  spec: z.strictObject({
    selector: labels,
    ports: z.array(z.strictObject({ name: z.string(), port: z.number(), targetPort: z.string() })),
  }),
});

/** The secrets of a cluster: by name, then by key. */
export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The gateway of a pod, and the user as which it runs. */
export function deployed(
  text: string,
  image: string,
  secrets: Secrets,
): { readonly gateway: Container; readonly user: string } {
  const documents = parseAllDocuments(text).map((each): unknown => each.toJS());
  if (documents.length !== 2) throw new Error(`${documents.length} documents`);
  const { spec } = deployment.parse(documents[0]);
  const { spec: reached } = service.parse(documents[1]);
  const { template } = spec;
  for (const selector of [spec.selector.matchLabels, reached.selector]) {
    for (const [name, value] of Object.entries(selector)) {
      if (template.metadata.labels[name] !== value) throw new Error(`no pod has ${name}=${value}`);
    }
  }
  const [container] = only(
    template.spec.containers.filter((each) => each.image === image).map((each) => [each] as const),
  );
  const portOf = (name: string): number => {
    const [port] = only(
      container.ports.filter((each) => each.name === name).map((each) => [each.containerPort] as const),
    );
    return port;
  };
  const secret = (name: string, key: string): string => known(secrets[name] ?? {}, key);

  const env = container.env.map((each) => {
    if ('value' in each) {
      if (each.value.includes('$(')) throw new Error(`Kubernetes would replace a part of ${each.value}`);
      return [each.name, each.value];
    }
    const { name, key } = each.valueFrom.secretKeyRef;
    return [each.name, secret(name, key)];
  });
  const files = container.volumeMounts.flatMap(({ name, mountPath }) => {
    const [volume] = only(template.spec.volumes.filter((each) => each.name === name).map((each) => [each] as const));
    const { secretName, items } = volume.secret;
    return items.map(({ key, path }) => [`${mountPath}/${path}`, secret(secretName, key)]);
  });
  const { runAsUser, runAsGroup } = container.securityContext;
  const probes = [container.livenessProbe, container.readinessProbe];
  const ports = reached.ports.map(({ targetPort }) => portOf(targetPort));
  return {
    gateway: {
      image: container.image,
      args: [],
      env: Object.fromEntries(env) as Record<string, string>,
      files: Object.fromEntries(files) as Record<string, string>,
      port: ports[0] ?? 0,
      isReadOnly: true,
      hasNoCapability: true,
      probes: probes.map(({ httpGet }) => ({ path: httpGet.path, port: portOf(httpGet.port) })),
      // The wait before the signal counts.
      stopMs: template.spec.terminationGracePeriodSeconds * 1000,
    },
    user: `${runAsUser}:${runAsGroup}`,
  };
}

/** `kubectl create secret generic NAME …`, as what is in the cluster then. */
export function createdSecret(words: readonly string[], place: Place): Secrets {
  const [create, secret, generic, name = '', ...flags] = words.slice(1);
  if ([create, secret, generic].join(' ') !== 'create secret generic') throw new Error(`not known: ${words.join(' ')}`);
  const entries = flags.map((flag) => {
    const [, kind, key = '', value = ''] = /^--from-(literal|file)=([\w.-]+)=(.*)$/.exec(flag) ?? [];
    if (kind === undefined) throw new Error(`kubectl ${flag}: not known here`);
    return [key, kind === 'literal' ? value : known(place.files, value)];
  });
  return { [name]: Object.fromEntries(entries) as Record<string, string> };
}

/** `127.0.0.1:8080:8080`: the last, which is inside. */
function publishedPort(text: string): number {
  const [, port] = /^(?:[\d.]+:)?\d+:(\d+)$/.exec(text) ?? [];
  if (port === undefined) throw new Error(`-p ${text}: not known here`);
  return Number(port);
}

function known(values: Readonly<Record<string, string>>, name: string): string {
  const value = values[name];
  if (value === undefined) throw new Error(`nothing says what ${name} is`);
  return value;
}

function only<Item extends readonly unknown[]>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error(`${items.length} where there should be one`);
  return item;
}
