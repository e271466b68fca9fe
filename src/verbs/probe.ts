// `mcp-causeway probe URL`: what is at a URL, and the configuration to use.

import type { Flags } from '../config/assignments.ts';
import { readConfig } from '../config/load.ts';
import { configurationFor, type GivenFlags } from '../probe/configuration.ts';
import { documentOf } from '../probe/document.ts';
import { textOf } from '../probe/text.ts';
import { probe } from '../probe/io/probe.ts';
import { withoutSent } from '../upstream/sent-secrets.ts';
import { systemClock, systemRandom, systemTimers } from '../real-time.ts';
import type { Machine } from './surroundings.ts';
import { VERSION } from './version.ts';

export interface ProbeVerb {
  readonly url: string;
  /** Of the configuration: headers, how the server is known. */
  readonly flags: Flags;
  readonly output: 'text' | 'json' | 'yaml';
  readonly secondConnection: boolean;
  /** In all. */
  readonly timeoutMs: number;
  /** How long an idle stream is listened to. */
  readonly listenMs: number;
}

const TLS_KEYS: Readonly<Record<string, string>> = {
  'tls-ca': 'ca',
  'tls-cert': 'cert',
  'tls-key': 'key',
  'tls-server-name': 'serverName',
  'tls-insecure-skip-verify': 'insecureSkipVerify',
};

/** Whether the server can be used, by the gateway or by clients as it is. Throws a ConfigError. */
export async function runProbe(verb: ProbeVerb, machine: Machine): Promise<boolean> {
  const { url, flags, output, secondConnection, timeoutMs, listenMs } = verb;
  const { stdout, stderr } = machine;
  const config = readConfig({ flags: { ...flags, upstream: url } }, machine);
  const isWatched = stderr.isTTY === true;
  const seen = await probe({
    config,
    version: VERSION,
    timeoutMs,
    listenMs,
    secondStream: secondConnection,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    progress: (doing) => {
      if (isWatched) stderr.write(`${CLEAR_LINE}  ${doing} …`);
    },
  });
  if (isWatched) stderr.write(CLEAR_LINE);
  const [upstream] = config.upstreams;
  // What it was sent it may say again, as its name or anywhere.
  const shown = (text: string): string =>
    upstream === undefined ? text : withoutSent(text, upstream, upstream.headers);
  const document = everyText(documentOf(seen, Date.now()), shown);
  if (output === 'json') stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else if (output === 'text') stdout.write(textOf(document));
  else if (document.usable === 'bridge') {
    const yaml = configurationFor(seen, new URL(url), givenFlags(flags));
    // What is no comment was given by whoever asks.
    stdout.write(yaml.replaceAll(/^#.*$/gm, shown));
  } else {
    stderr.write(`there is nothing to configure: ${document.url} is ${document.says}\nnext: ${document.next}\n`);
    // What comes next in a pipe would go on with nothing.
    return false;
  }
  return document.usable !== 'no';
}

/** The same with each text in it, and each name of a member, as `shown` has it. */
function everyText<T>(value: T, shown: (text: string) => string): T {
  const each = (part: unknown): unknown => {
    if (typeof part === 'string') return shown(part);
    if (Array.isArray(part)) return part.map(each);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, inside]) => [shown(name), each(inside)]));
  };
  // Texts become texts, and the rest stays what it is.
  return each(value) as T;
}

const CLEAR_LINE = '\r\u001B[2K';

function givenFlags(flags: Flags): GivenFlags {
  const tls = Object.entries(TLS_KEYS).flatMap(([flag, key]) => {
    const [value] = listOf(flags[flag]);
    return value === undefined ? [] : [[key, key === 'insecureSkipVerify' ? value === 'true' : value] as const];
  });
  return {
    headers: listOf(flags['header']),
    tls: Object.fromEntries(tls),
    messageUrl: listOf(flags['message-url'])[0] ?? null,
    allowEndpointOrigins: listOf(flags['allow-endpoint-origins']).flatMap((text) => text.split(/[\s,]+/)),
  };
}

function listOf(value: Flags[string] | undefined): readonly string[] {
  return [value ?? []].flat();
}
