// The other replicas and what they share, as far as doctor can see it from here.

import { randomBytes } from 'node:crypto';
import { Agent, type Dispatcher } from 'undici';
import type { Config, PeersConfig } from '../config/schema.ts';
import { secretBytes } from '../config/sealing-secret.ts';
import type { Clock, Timers } from '../domain/ports.ts';
import { TokenSealer } from '../protocol/sealed-token.ts';
import { peerAgent } from '../replica/peer-agent.ts';
import { Peers } from '../replica/peers.ts';
import { orLate } from './bounded.ts';
import type { Reading } from './clock-findings.ts';
import { nearAddress } from './health.ts';
import { type Greeter, greeted } from './peer-facts.ts';
import { nobodyFinding, peerFinding } from './peer-findings.ts';
import { refusal } from './refusal.ts';
import { type Finding, failed } from './report.ts';
import { storeFacts } from './store-facts.ts';
import { storeFindings } from './store-findings.ts';

export interface Replicas {
  readonly findings: readonly Finding[];
  readonly readings: readonly Reading[];
}

export interface AroundReplicas {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly signal: AbortSignal;
}

const NOTHING: Replicas = { findings: [], readings: [] };
/** What they seal for each other is good for ten seconds, and for clocks half of that is left. */
const TOLERANCE_MS = 2000;

export async function lookAtPeers(around: AroundReplicas): Promise<Replicas> {
  const { config, version, clock, timers, signal } = around;
  if (config.peers === undefined) return NOTHING;
  const peers = new Peers({ config: config.peers, clock, timers });
  const agent = peerAgent(peers);
  try {
    const isKnown = await orLate(
      peers.start().then(() => true),
      false,
      signal,
    );
    // Of a name that nobody answers for `dns` tells.
    if (!isKnown) return NOTHING;
    const greeter = greeterOf(config, agent, signal);
    const found = await Promise.all(
      peers.all.map(async (peer) => {
        const origin = await peers.find(peer);
        if (origin === null) return { peer, facts: { state: 'silent', code: 'ENOTFOUND' } as const, aheadMs: null };
        return { peer, ...(await greeted(origin, greeter)) };
      }),
    );
    const isListed = config.peers.dns === undefined;
    return {
      findings:
        found.length === 0
          ? [nobodyFinding(isListed)]
          : found.map(({ peer, facts }) => peerFinding(peer, facts, version)),
      readings: found.flatMap(({ peer: from, aheadMs }) =>
        aheadMs === null ? [] : [{ from, aheadMs, toleranceMs: TOLERANCE_MS }],
      ),
    };
  } catch (error) {
    const { why, remedy } = refusal(error);
    return { findings: [failed('peers', why, remedy)], readings: [] };
  } finally {
    peers.close();
    await agent.destroy();
  }
}

export async function lookAtStore({ config, signal }: Pick<AroundReplicas, 'config' | 'signal'>): Promise<Finding[]> {
  const { store } = config;
  if (store === undefined) return [];
  return storeFindings(await storeFacts(store, sealerOf(config), signal), store.prefix);
}

/** Whether it is one that has the peer port of this machine. */
export async function isReplica(
  config: Config,
  { host, port }: Pick<PeersConfig, 'host' | 'port'>,
  timeoutMs: number,
): Promise<boolean> {
  const agent = new Agent();
  const near = nearAddress(host);
  const origin = `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
  try {
    const greeter = greeterOf(config, agent, AbortSignal.timeout(timeoutMs));
    const { facts } = await greeted(origin, greeter);
    return facts.state === 'answered' || facts.state === 'closed';
  } finally {
    await agent.destroy();
  }
}

/** As the gateway would have it; without a secret there are no replicas. */
function sealerOf({ secrets }: Config): TokenSealer {
  const { current = '', previous } = secrets ?? {};
  return new TokenSealer(secretBytes(current), randomBytes, previous === undefined ? [] : [secretBytes(previous)]);
}

function greeterOf(config: Config, agent: Dispatcher, signal: AbortSignal): Greeter {
  return { sealer: sealerOf(config), owner: 'doctor', agent, signal, wallSeconds: () => Math.floor(Date.now() / 1000) };
}
