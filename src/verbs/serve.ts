// `mcp-causeway URL` and `mcp-causeway serve -c FILE`: run the gateway until a signal ends it.

import { createApp } from '../app.ts';
import { ConfigError, loadConfig, parseConfig } from '../config/load.ts';
import type { Config, ConfigInput } from '../config/schema.ts';
import { isLoopback } from '../edge/host-guard.ts';
import { LogJournal } from '../observe/journal.ts';
import { createLog } from '../observe/log.ts';
import { descriptorShortage } from './descriptors.ts';
import { VERSION } from './version.ts';

export interface ServeFlags {
  readonly listen?: string;
  readonly single?: boolean;
  readonly mode?: string;
  readonly logFormat?: string;
  readonly logLevel?: string;
}

/** The configuration that a URL alone stands for. Throws a ConfigError. */
export function configFromUrl(url: string, flags: ServeFlags): Config {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    const commands = 'a command is one of serve, demo, version';
    throw new ConfigError(`${url} is not an http or https URL, such as http://127.0.0.1:9001/sse (${commands})`);
  }
  return parseConfig(withFlags({ upstreams: [{ url }] }, flags));
}

export function configFromFile(file: string, flags: ServeFlags): Config {
  const config = loadConfig(file);
  const changed = parseConfig(withFlags({ upstreams: [{ url: 'http://localhost/' }] }, flags));
  return {
    ...config,
    ...(flags.listen !== undefined && { listen: changed.listen }),
    ...(flags.single === true && { links: { ...config.links, single: true as const } }),
    ...(flags.mode !== undefined && {
      upstreams: config.upstreams.map((upstream) => ({
        ...upstream,
        mode: changed.upstreams[0]?.mode ?? upstream.mode,
      })),
    }),
    log: {
      level: flags.logLevel === undefined ? config.log.level : changed.log.level,
      format: flags.logFormat === undefined ? config.log.format : changed.log.format,
    },
  };
}

function withFlags(input: ConfigInput, flags: ServeFlags): unknown {
  return {
    ...input,
    ...(flags.mode !== undefined && { upstreams: input.upstreams.map((each) => ({ ...each, mode: flags.mode })) }),
    ...(flags.listen !== undefined && { listen: parseListen(flags.listen) }),
    ...(flags.single === true && { links: { single: true } }),
    log: {
      ...(flags.logLevel !== undefined && { level: flags.logLevel }),
      ...(flags.logFormat !== undefined && { format: flags.logFormat }),
    },
  };
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:(\[[0-9a-f:]+\]|[^:[\]]+):)?(\d{1,5})$/i.exec(text);
  if (match === null) throw new ConfigError(`--listen: ${text} is not HOST:PORT, such as 127.0.0.1:8080`);
  if (Number(match[2]) > 65_535) throw new ConfigError(`--listen: port ${match[2]} is over 65535`);
  return { host: (match[1] ?? '127.0.0.1').replaceAll(/[[\]]/g, ''), port: Number(match[2]) };
}

export interface Running {
  /** The first mount's endpoint, as a client on this machine would dial it. */
  readonly endpoint: string;
  close(): Promise<void>;
}

const BIND_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use: choose another with --listen HOST:PORT',
  EADDRNOTAVAIL: 'is not one of this machine’s: choose another with --listen HOST:PORT',
  EACCES: 'needs a privilege that this process does not have: choose a port from 1024 on',
};

/** Starts the gateway. Rejects with a ConfigError when the address cannot be had. */
export async function start(config: Config): Promise<Running> {
  refuseUnsafe(config);
  const log = createLog(config.log);
  const journal = new LogJournal(log);
  const app = createApp({ config, journal, version: VERSION });
  const { host, port } = config.listen;
  const address = await app.listen().catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const why = BIND_FAILURES[code] ?? `cannot be bound (${code})`;
    throw new ConfigError(`the address ${host}:${port} ${why}`, { cause });
  });
  const name = host.includes(':') ? `[${host}]` : host === '0.0.0.0' ? '127.0.0.1' : host;
  const origin = `http://${name}:${address.port}`;
  const [first] = app.mounts;

  for (const mount of app.mounts) log.info({ upstream: mount.name, endpoint: origin + mount.path }, 'listening');
  const shortage = descriptorShortage(config);
  if (shortage !== null)
    log.warn(
      shortage,
      'too few file descriptors for the sessions allowed: raise the limit (ulimit -n) or lower links.maxDedicated',
    );
  if (!isLoopback(host) && config.allowedHosts === undefined) {
    log.warn(
      { host },
      'bound to a public address without authentication or allowedHosts: anybody who reaches it can use the server behind it',
    );
  }
  return { endpoint: origin + (first?.path ?? '/mcp'), close: () => app.close().finally(() => journal.summarize()) };
}

/** Configured credentials on a public address without authentication would be everybody's. */
function refuseUnsafe({ listen, upstreams }: Config): void {
  if (isLoopback(listen.host)) return;
  for (const { name, url, headers } of upstreams) {
    if (Object.keys(headers).length === 0 && url.username === '' && url.password === '') continue;
    throw new ConfigError(
      `upstream ${name} has credentials, and ${listen.host} is a public address: everybody who reaches it could use them. Listen on a loopback address`,
    );
  }
}

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
/** What an endpoint answers that serves sessions only. */
export const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}';

/** Says on stderr how to use what runs; stdout stays free. */
export function greet(endpoint: string, upstream: string, mode: string): void {
  process.stderr.write(
    `\nmcp-causeway ${VERSION}\n` +
      `  clients connect to  ${endpoint}\n` +
      `  server behind it    ${upstream}\n\n` +
      `Try it:\n\n  ${curlLine(endpoint, mode === 'session' ? INITIALIZE : LIST)}\n\n`,
  );
}

export function curlLine(endpoint: string, body: string): string {
  return `curl -s ${endpoint} -H 'content-type: application/json' -d '${body}'`;
}

/** Resolves when a signal asks to stop; a second one ends the process at once, with 128 and its number. */
export function stopSignal(exit: (code: number) => void): Promise<void> {
  return new Promise((resolve) => {
    let isAsked = false;
    const on = (code: number) => (): void => {
      if (isAsked) exit(code);
      isAsked = true;
      resolve();
    };
    process.on('SIGINT', on(130));
    process.on('SIGTERM', on(143));
  });
}
