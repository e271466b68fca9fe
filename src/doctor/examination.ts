// All that is looked at, in three steps: what this machine knows by itself, then the names, then whoever they belong to. One
// signal bounds all that is asked of others.

import type { Config } from '../config/schema.ts';
import type { Certificates } from '../edge/certificate.ts';
import type { Listener } from '../edge/bind-failure.ts';
import { audiencesOf, resourcesOf } from '../identity/reception.ts';
import { addressFacts, isHealthy } from './address-facts.ts';
import { type AddressFacts, addressFinding } from './address-findings.ts';
import { firstToEnd, ownCertificate } from './certificate-facts.ts';
import { fileCertificateFinding, ownCertificateFinding } from './certificate-findings.ts';
import { type Told, exposureFindings } from './exposure-findings.ts';
import { memoryFacts } from './machine-facts.ts';
import { type DescriptorFacts, descriptorFinding, memoryFinding, secretFileFindings } from './machine-findings.ts';
import { isName, resolved } from './name-facts.ts';
import { nameFinding } from './name-findings.ts';
import { audienceFinding } from './oauth-findings.ts';
import { type Around, type Names, Others, jwtsOf } from './others.ts';
import { isReplica } from './replicas.ts';
import type { Finding } from './report.ts';
import { secretFindings } from './secret-findings.ts';

export interface Examined extends Omit<Around, 'isRunning' | 'names' | 'signal'> {
  /** For all that is asked of others. */
  readonly timeoutMs: number;
  readonly descriptors: DescriptorFacts;
  /** What serve warns of at its start. */
  readonly told: readonly Told[];
  /** Files of secrets and keys; those of them that every user of the machine may read. */
  readonly secretFiles: readonly string[];
  readonly openSecretFiles: readonly string[];
  readonly certificates: Certificates;
}

/** Nobody on this machine needs longer. */
const HERE_MS = 2000;

export async function examine(what: Examined): Promise<Finding[]> {
  const { config, timers, timeoutMs } = what;
  const late = new AbortController();
  const lateNames = new AbortController();
  // Whoever has a name still needs some of it.
  const all = [timers.after(timeoutMs, () => late.abort()), timers.after(timeoutMs / 2, () => lateNames.abort())];
  try {
    const [addresses, names] = await Promise.all([
      addressesOf(config, Math.min(HERE_MS, timeoutMs)),
      namesOf(config, lateNames.signal),
    ]);
    const isRunning = addresses.some(
      ({ section, facts }) => section === 'listen' && facts.state === 'taken' && facts.by === 'gateway',
    );
    const others = new Others({ ...what, isRunning, names, signal: late.signal });
    return [
      ...ofMachine(what),
      ...addresses.map(({ section, address, facts }) => addressFinding(section, address, facts)),
      ...[...names].map(([host, { facts, isOurs }]) => nameFinding(host, facts, isOurs)),
      ...(await others.findings()),
    ];
  } finally {
    for (const timer of all) timer.cancel();
  }
}

function ofMachine(what: Examined): Finding[] {
  const { config, descriptors, told, secretFiles, openSecretFiles } = what;
  return [
    descriptorFinding(descriptors),
    memoryFinding(memoryFacts(config)),
    ...exposureFindings(config, told),
    ...secretFindings(config),
    ...secretFileFindings(secretFiles, openSecretFiles),
    ...ownCertificates(what),
    ...config.upstreams.flatMap((upstream) => {
      const resources = [...resourcesOf(config, upstream).values()].map(({ url }) => url);
      const audiences = audiencesOf(config, upstream);
      return audiences.length === 0 ? [] : [audienceFinding(upstream.name, audiences, resources)];
    }),
  ];
}

function ownCertificates({ config, certificates }: Examined): Finding[] {
  const now = Date.now();
  const { publicUrl, upstreams } = config;
  const dialled = publicUrl?.protocol === 'https:' ? publicUrl.hostname : null;
  const ofListeners = (['listen', 'admin'] as const).flatMap((section) => {
    const certificate = certificates[section];
    if (certificate === null) return [];
    const facts = ownCertificate(certificate.cert.toString(), section === 'listen' ? dialled : null);
    return [ownCertificateFinding(section, facts, now)];
  });
  const ofUpstreams = upstreams.flatMap(({ name, tls }) =>
    (['cert', 'ca'] as const).flatMap((key) => {
      const pem = tls?.pem[key];
      return pem === undefined ? [] : [fileCertificateFinding(`${name} (tls.${key})`, firstToEnd(pem), now)];
    }),
  );
  return [...ofListeners, ...ofUpstreams];
}

interface Address {
  readonly section: Listener;
  readonly address: string;
  readonly facts: AddressFacts;
}

async function addressesOf(config: Config, timeoutMs: number): Promise<Address[]> {
  const { listen, admin, peers } = config;
  const ofPeople = [['listen', listen] as const, ...(admin === undefined ? [] : [['admin', admin] as const])];
  const asked = [
    ...ofPeople.map(([section, listener]) => {
      return { section, listener, isGateway: (): Promise<boolean> => isHealthy(listener, timeoutMs) };
    }),
    ...(peers === undefined
      ? []
      : [
          {
            section: 'peers' as const,
            listener: peers,
            isGateway: (): Promise<boolean> => isReplica(config, peers, timeoutMs),
          },
        ]),
  ];
  return Promise.all(
    asked.map(async ({ section, listener, isGateway }) => {
      const { host, port } = listener;
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      return { section, address, facts: await addressFacts(section, listener, isGateway) };
    }),
  );
}

async function namesOf(config: Config, signal: AbortSignal): Promise<Names> {
  const ours = config.upstreams.flatMap(({ urls, messageUrl }) => [
    ...urls,
    ...(messageUrl === undefined ? [] : [messageUrl]),
  ]);
  const jwts = jwtsOf(config);
  const keys = jwts.flatMap(({ jwksUri }) => (jwksUri === undefined ? [] : [jwksUri]));
  const ofClients = [
    ...jwts.map(({ issuer }) => new URL(issuer)),
    ...(config.publicUrl === undefined ? [] : [config.publicUrl]),
  ];
  const ofReplicas = [...(config.peers?.addresses ?? []), config.peers?.dns, config.store?.url.host];
  const hosts = new Map([
    ...ofClients.map(({ hostname }) => [hostname, false] as const),
    ...[...ours, ...keys].map(({ hostname }) => [hostname, true] as const),
    ...ofReplicas.flatMap((address) => (address === undefined ? [] : [[address.replace(/:\d+$/, ''), true] as const])),
  ]);
  const named = [...hosts].filter(([host]) => isName(host));
  return new Map(
    await Promise.all(
      named.map(async ([host, isOurs]) => [host, { facts: await resolved(host, signal), isOurs }] as const),
    ),
  );
}
