// `mcp-causeway URL` and `mcp-causeway serve -c FILE`: run the gateway until a signal ends it.

import type { AddressInfo } from 'node:net';
import { type App, createApp, metricsFor } from '../app.ts';
import { ConfigError, type Given, readConfig } from '../config/load.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { settingsOf } from '../config/settings.ts';
import type { Surroundings } from '../config/substitution.ts';
import { ANYONE } from '../domain/principal.ts';
import { bindFailure } from '../edge/bind-failure.ts';
import { readCertificates } from '../edge/certificate.ts';
import { LogJournal } from '../observe/journal.ts';
import { createLog } from '../observe/log.ts';
import { parsed } from '../protocol/json-rpc.ts';
import { protectedResource } from '../protocol/protected-resource.ts';
import { shelfFor } from '../replica/open-store.ts';
import { systemTimers } from '../real-time.ts';
import type { StopSignal } from '../stop-signal.ts';
import { type Served, banner } from './banner.ts';
import { descriptorShortage } from './descriptors.ts';
import { type Warning, fileWarnings, refuseUnsafe, warningsOf } from './exposure.ts';
import { FirstContact } from './first-contact.ts';
import { type Machine, type Terminal, readAside } from './surroundings.ts';
import { VERSION } from './version.ts';

export interface Running {
  /** The first mount's endpoint, as a client on this machine would dial it. */
  readonly endpoint: string;
  /** Of the first mount. */
  readonly mode: UpstreamConfig['mode'];
  /** Says on a terminal what runs, once that is known; nothing where a machine reads. */
  greet(stderr: Terminal): Promise<void>;
  /** To stderr, between the lines of the log. */
  readonly say: (text: string) => void;
  /** Looks at the configuration anew; what comes of it is in the log. */
  reload(): Promise<void>;
  /** See App.close. */
  close(how?: 'announced' | 'now'): Promise<void>;
}

/** A person waits this long for a server to answer before the banner says that it has not. */
const FIRST_CONTACT_MS = 1500;

/**
 * Starts the gateway. Rejects with a ConfigError when an address cannot be had. `readAgain`: the configuration as it is by
 * then; null where there is nothing to read. `openSecrets`: files of secrets that everybody on this machine may read.
 */
export async function start(
  config: Config,
  readAgain: (() => Promise<Config>) | null = null,
  openSecrets: () => readonly string[] = () => [],
): Promise<Running> {
  refuseUnsafe(config);
  readCertificates(config);
  const { lines: log, ...output } = await createLog(config.log);
  const journal = new LogJournal(log);
  /** Those of now: what a reload leaves as it was is not said again. */
  let warnings = new Map<string, Warning>();
  const warn = (what: Config): void => {
    const next = [...warningsOf(what), ...fileWarnings(openSecrets(), app.certificates)];
    const before = warnings;
    warnings = new Map(next.map((warning) => [JSON.stringify(warning), warning]));
    for (const [text, warning] of warnings) if (!before.has(text)) log.warn(warning.about, warning.text);
  };
  const contact = new FirstContact(config.upstreams, journal);
  const metrics = await metricsFor(config, VERSION);
  const source = readAgain && {
    read: readAgain,
    check: refuseUnsafe,
    applied(next: Config) {
      log.level = next.log.level;
      contact.moved(next.upstreams);
      warn(next);
    },
  };
  const shelf = await shelfFor(config.store);
  const app = createApp({ config, journal: contact, version: VERSION, metrics, source, shelf });
  const { origin, adminOrigin, peersOrigin } = await listen(app, config).catch(async (error: unknown) => {
    // What is bound already would keep the process from ending.
    await app.close();
    await output.close();
    throw error;
  });

  // Said at every level but silent: with port 0 nothing else tells where it listens.
  const always = log.child({}, { level: config.log.level === 'silent' ? 'silent' : 'info' });
  for (const mount of app.mounts) always.info({ upstream: mount.name, endpoint: origin + mount.path }, 'listening');
  if (adminOrigin !== null) always.info({ admin: adminOrigin }, 'listening');
  if (peersOrigin !== null) always.info({ peers: peersOrigin }, 'listening');
  const shortage = descriptorShortage(config);
  if (shortage !== null)
    log.warn(
      shortage,
      'too few file descriptors for the sessions allowed: raise the limit (ulimit -n) or lower links.maxDedicated',
    );
  warn(config);
  return {
    endpoint: origin + (app.mounts[0]?.path ?? '/mcp'),
    mode: app.mounts[0]?.mode ?? 'auto',
    async greet(stderr) {
      if (stderr.isTTY !== true || config.log.format === 'json') return;
      await firstContact(contact);
      const served = config.upstreams.map((upstream) => {
        const mount = app.mounts.find(({ name }) => name === upstream.name);
        const isToldSingle = settingsOf(config, upstream).links.single === true;
        return {
          upstream,
          endpoint: origin + upstream.path,
          publicEndpoint: publicEndpoint(config, upstream),
          needs: neededBy(config, upstream),
          contact: contact.of(upstream.name),
          isSingle: mount?.isSingle ?? isToldSingle,
          quirks: [
            ...(isToldSingle ? (['single'] as const) : []),
            ...contact.quirksOf(upstream.name),
            ...(mount !== undefined && offersTasks(mount) ? (['offers_tasks'] as const) : []),
          ],
        };
      });
      stderr.write(banner(VERSION, served, adminOrigin));
    },
    say: (text) => output.write(text),
    async reload() {
      await app.reload().catch(() => {});
    },
    async close(how) {
      try {
        await app.close(how);
      } finally {
        journal.summarize();
        await output.close();
      }
    },
  };
}

function publicEndpoint({ publicUrl }: Config, { path }: UpstreamConfig): string | null {
  return publicUrl === undefined ? null : protectedResource(publicUrl, path).url;
}

function neededBy(config: Config, upstream: UpstreamConfig): Served['needs'] {
  const { inbound } = settingsOf(config, upstream);
  if (inbound === 'none') return 'nothing';
  return 'bearer' in inbound ? 'key' : 'token';
}

/** Of what is known already: no link is opened for this. */
function offersTasks(mount: App['mounts'][number]): boolean {
  if (mount.pooledCount === 0 || mount.forwarding !== null) return false;
  let offers = false;
  mount.handshake(ANYONE, (handshake) => {
    if (!('answer' in handshake)) return;
    const { bytes, result } = handshake.answer;
    // An object with these members, or there would be no link.
    const { capabilities } = parsed(bytes, result) as { capabilities?: { tasks?: unknown } | null };
    offers = typeof capabilities === 'object' && capabilities?.tasks !== undefined;
  })();
  return offers;
}

interface Origins {
  readonly origin: string;
  /** Null: there is none. */
  readonly adminOrigin: string | null;
  readonly peersOrigin: string | null;
}

/** The origins, as somebody on this machine would dial them. */
async function listen(app: App, { listen, admin, peers }: Config): Promise<Origins> {
  // First: once clients can come, the warm links are being opened.
  const ofAdmin = await app.listenAdmin().catch((cause: unknown) => cannotBind('admin', admin ?? listen, cause));
  await app.openStore();
  const ofPeers = await app.listenPeers().catch((cause: unknown) => cannotBind('peers', peers ?? listen, cause));
  const ofClients = await app.listen().catch((cause: unknown) => cannotBind('listen', listen, cause));
  return {
    origin: originOf(listen, ofClients),
    adminOrigin: ofAdmin === null || admin === undefined ? null : originOf(admin, ofAdmin),
    peersOrigin: ofPeers === null || peers === undefined ? null : originOf(peers, ofPeers),
  };
}

function originOf({ host, tls }: Pick<Config['listen'], 'host' | 'tls'>, { port }: AddressInfo): string {
  return `${tls === undefined ? 'http' : 'https'}://${dialled(host)}:${port}`;
}

function cannotBind(
  flag: 'listen' | 'admin' | 'peers',
  { host, port }: Pick<Config['listen'], 'host' | 'port'>,
  cause: unknown,
): never {
  // It has not come to that.
  if (cause instanceof ConfigError) throw cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const { why, remedy } = bindFailure(flag, code);
  throw new ConfigError(`the address ${host.includes(':') ? `[${host}]` : host}:${port} ${why}: ${remedy}`, { cause });
}

/** What to dial for an address that is listened on. */
export function dialled(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function firstContact(contact: FirstContact): Promise<void> {
  return new Promise((resolve) => {
    const timer = systemTimers.after(FIRST_CONTACT_MS, resolve);
    void contact.settled.then(() => {
      timer.cancel();
      // What is told of a link at its opening is told before the pool has it.
      setImmediate(resolve);
    });
  });
}

/** Runs until it is asked to stop. Throws a ConfigError. */
export async function serve(
  given: Given,
  machine: Pick<Machine, keyof Surroundings | 'stderr' | 'isOpenToAll'>,
  stop: Pick<StopSignal, 'isAsked' | 'asked' | 'listenToHangup'>,
): Promise<void> {
  const { stderr } = machine;
  let secretFiles: ReadonlySet<string> = new Set();
  const read = async (): Promise<Config> => {
    const files = new Set<string>();
    const onSecretFile = (path: string): void => void files.add(path);
    const config = await readAside(machine, (surroundings) => readConfig(given, { ...surroundings, onSecretFile }));
    secretFiles = files;
    return config;
  };
  const config = await read();
  const isFixed = given.file === undefined && config.listen.tls === undefined && config.admin?.tls === undefined;
  // With nothing to read anew, certificates neither, it means what it is named for: the terminal is closed.
  if (isFixed) stop.listenToHangup();
  if (stop.isAsked) return;
  let running: Running | null = null;
  const openSecrets = (): string[] => [...secretFiles].filter((path) => machine.isOpenToAll(path));
  // Without a listener it would end the process, as it does where a terminal is closed. What has just been read is new.
  if (!isFixed) process.on('SIGHUP', () => void running?.reload());
  running = await start(config, isFixed ? null : read, openSecrets);
  await Promise.race([running.greet({ isTTY: stderr.isTTY, write: running.say }), stop.asked]);
  // At a terminal nobody waits for a balancer.
  await running.close((await stop.asked) === 'SIGTERM' ? 'announced' : 'now');
}
