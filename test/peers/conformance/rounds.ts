// The suite against our server, for each revision three times in one run: straight over Streamable HTTP, which says that server
// and suite agree, through the gateway over HTTP+SSE, which says what the gateway makes of it, and through three replicas of it
// behind nginx, each request on another one, which must be the same. Of a revision that the server does not speak there is only
// what the gateway makes of it.
import { fileURLToPath } from 'node:url';
import { type Replicas, startReplicas } from '../../support/replica-processes.ts';
import { WatchedChild } from '../../support/watched-child.ts';
import { gatewayArgs, gatewayUrl } from '../support/gateway-program.ts';
import { revisions, type Revision } from './revisions.ts';
import { runSuite, type ScenarioOutcome } from './suite.ts';

export interface Round {
  readonly revision: Revision;
  /** How many there should be. */
  readonly scenarios: number;
  /** Those that are expected to prove nothing through the gateway. */
  readonly unproven: readonly string[];
  /** Null: the server does not speak this revision by itself. */
  readonly direct: readonly ScenarioOutcome[] | null;
  readonly gateway: readonly ScenarioOutcome[];
  /** Through three of them. */
  readonly replicas: readonly ScenarioOutcome[];
}

export interface Rounds {
  readonly rounds: readonly Round[];
  /** How many requests each replica has taken of nginx, and how many of all it handed to another. */
  readonly taken: readonly number[];
  readonly hops: number;
}

const serverScript = fileURLToPath(new URL('./server.ts', import.meta.url));

export async function playRounds(): Promise<Rounds> {
  let several: Replicas | undefined;
  const children: WatchedChild[] = [];
  const start = (name: string, args: readonly string[]) => {
    const child = new WatchedChild({ name, args });
    children.push(child);
    return child;
  };
  try {
    const port = await listeningPort(start('conformance server', [serverScript]));
    const url = await gatewayUrl(start('gateway', gatewayArgs(port)));
    several = await startReplicas({ upstream: new URL(`http://127.0.0.1:${port}/sse`) });
    const rounds: Round[] = [];
    for (const { revision, scenarios, isDirect, unproven } of revisions) {
      const direct = isDirect ? await runSuite(`http://127.0.0.1:${port}/mcp`, revision) : null;
      const gateway = await runSuite(url, revision);
      const replicas = await runSuite(several.front.endpoint, revision);
      rounds.push({ revision, scenarios, unproven, direct, gateway, replicas });
    }
    return { rounds, taken: await several.taken(), hops: await several.sum('causeway_hops_total') };
  } finally {
    await several?.stop();
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** What the suite says of the scenario about streams that end before their call does. */
export function pollingIn(outcomes: readonly ScenarioOutcome[]): readonly ScenarioOutcome[] {
  return outcomes.filter(({ scenario }) => scenario === 'server-sse-polling');
}

export function failuresOf(outcomes: readonly ScenarioOutcome[]): readonly string[] {
  return outcomes.flatMap(({ scenario, failures }) => failures.map((failure) => `${scenario}: ${failure}`));
}

export function warningsOf(outcomes: readonly ScenarioOutcome[]): readonly string[] {
  return outcomes.flatMap(({ scenario, warnings }) => warnings.map((warning) => `${scenario}: ${warning}`));
}

/** How many passed, with something proved. */
export function passedIn(outcomes: readonly ScenarioOutcome[]): number {
  return outcomes.filter(({ successes, failures }) => successes > 0 && failures.length === 0).length;
}

/** Scenarios in which no check succeeded, and none failed: they pass, and prove nothing. */
export function unprovenIn(outcomes: readonly ScenarioOutcome[]): readonly string[] {
  return outcomes
    .filter(({ successes, failures }) => successes === 0 && failures.length === 0)
    .map(({ scenario }) => scenario);
}

async function listeningPort(child: WatchedChild): Promise<number> {
  const port = await child.printed(
    ({ stdout }) => /listening on loopback port (\d+)/.exec(stdout)?.[1],
    'listening port',
  );
  return Number(port);
}
