// What was asked for on the command line. A word that nobody knows is answered with the one that was probably meant.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nearest } from '../src/config/nearest.ts';
import { PEER_NAMES, whyMissing, type PeerName } from './peers.ts';
import { SCENARIO_NAMES, type ScenarioName } from './scenarios.ts';

export interface Options {
  readonly scenarios: readonly ScenarioName[];
  /** Those that were asked for, each of which has to start; without it, all that can be started here. */
  readonly peers: readonly PeerName[] | undefined;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly idleSessions: number;
  readonly rate: number | undefined;
  readonly check: boolean;
  readonly acceptNoise: boolean;
  readonly json: string | undefined;
  readonly chart: string | undefined;
  /** A scenario that was too noisy is measured once more. */
  readonly again: boolean;
  readonly help: boolean;
}

/** Something to tell the user, without a stack. */
export class UsageError extends Error {}

const FLAGS = {
  scenario: { type: 'string' },
  peers: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  rate: { type: 'string' },
  sessions: { type: 'string' },
  json: { type: 'string' },
  chart: { type: 'string' },
  check: { type: 'boolean' },
  quick: { type: 'boolean' },
  'accept-noise': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

export const HELP = `npm run bench -- [options]

  --scenario A,B    ${SCENARIO_NAMES.join(', ')} (all)
  --peers A,B       ${PEER_NAMES.join(', ')} (all that can be started)
  --rounds N        interleaved rounds (5)
  --seconds N       a round of one peer (2)
  --quick           the scenarios and peers most targets are about, 3 short rounds: below two minutes
  --check           print every target; exit 1 if a "must" is missed, 2 if the machine was too noisy to tell
  --rate N          calls a second of open-loop (40 % of what http-floor manages)
  --sessions N      idle sessions (1000)
  --json FILE       all figures
  --chart FILE.svg  the main ones as bars
  --accept-noise    report even if the machine was too noisy to tell
`;

const QUICK_PEERS: readonly PeerName[] = ['direct', 'http-floor', 'http-floor-buf', 'nginx', 'naive', 'causeway'];
const QUICK_SCENARIOS: readonly ScenarioName[] = [
  'c1',
  'c32',
  'sessions',
  'progress10',
  'mib1',
  'mib8',
  'modern',
  'churn',
  'idle',
];

interface Defaults {
  readonly scenarios: readonly ScenarioName[];
  readonly rounds: number;
  readonly seconds: number;
  readonly idleSessions: number;
}

const FULL: Defaults = {
  scenarios: SCENARIO_NAMES,
  rounds: 5,
  seconds: 2,
  idleSessions: 1000,
};
const QUICK: Defaults = {
  scenarios: QUICK_SCENARIOS,
  rounds: 3,
  seconds: 0.5,
  idleSessions: 300,
};

/** `missing` says why a peer cannot be started on this machine. */
export function readOptions(args: readonly string[], missing = whyMissing): Options {
  const { values, tokens } = parseArgs({
    args: [...args],
    options: FLAGS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') throw new UsageError(`"${token.value}" is no option`);
    if (token.kind !== 'option') continue;
    if (!Object.hasOwn(FLAGS, token.name)) throw new UsageError(unknown(token.rawName, Object.keys(FLAGS), '--'));
    const { type } = FLAGS[token.name as keyof typeof FLAGS];
    if (type === 'string' && token.value === undefined) throw new UsageError(`${token.rawName} wants a value`);
    if (type === 'boolean' && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
  }
  const text = (name: keyof typeof FLAGS): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const defaults = values.quick === true ? QUICK : FULL;
  const asked = text('peers');
  const quickPeers = values.quick === true ? QUICK_PEERS.filter((name) => missing(name) === undefined) : undefined;
  const scenarios = text('scenario');
  const seconds = number('--seconds', text('seconds'), 0.1, 60) ?? defaults.seconds;
  return {
    scenarios: scenarios === undefined ? defaults.scenarios : names(scenarios, SCENARIO_NAMES, 'scenario'),
    peers: asked === undefined ? quickPeers : names(asked, PEER_NAMES, 'peer'),
    rounds: whole('--rounds', text('rounds'), 1, 1000) ?? defaults.rounds,
    seconds,
    warmUpSeconds: Math.min(1.5, seconds * 1.25),
    idleSessions: whole('--sessions', text('sessions'), 1, 100_000) ?? defaults.idleSessions,
    rate: number('--rate', text('rate'), 1, 1_000_000),
    check: values.check === true,
    acceptNoise: values['accept-noise'] === true,
    json: file('--json', text('json')),
    chart: file('--chart', text('chart')),
    again: values.quick !== true,
    help: values.help === true,
  };
}

function names<Name extends string>(list: string, known: readonly Name[], kind: string): Name[] {
  const given = list.split(',').map((word) => {
    const name = known.find((each) => each === word);
    if (name === undefined) throw new UsageError(`${unknown(`"${word}"`, known)} The ${kind}s: ${known.join(', ')}.`);
    return name;
  });
  return [...new Set(given)];
}

function unknown(word: string, known: readonly string[], prefix = ''): string {
  const meant = nearest(word.replaceAll('"', '').replace(/^-+/, ''), known);
  return `${word} is not known.${meant === null ? '' : ` Did you mean ${prefix}${meant}?`}`;
}

function number(flag: string, value: string | undefined, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  const given = value.trim() === '' ? Number.NaN : Number(value);
  if (given >= least && given <= most) return given;
  throw new UsageError(`${flag} ${value}: a number from ${least} to ${most}`);
}

function whole(flag: string, value: string | undefined, least: number, most: number): number | undefined {
  const given = number(flag, value, least, most);
  if (given === undefined || Number.isInteger(given)) return given;
  throw new UsageError(`${flag} ${value}: a whole number from ${least} to ${most}`);
}

/** Told before ten minutes of measuring, and not after. */
function file(flag: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const folder = dirname(resolve(path));
  if (!existsSync(folder)) throw new UsageError(`${flag} ${path}: there is no folder ${folder}`);
  return path;
}
