// A server opened as the gateway opens it: its stream, its endpoint, initialize. One connection, closed as soon as it is open.

import { randomInt } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent } from 'undici';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { type ProxyError, asProxyError } from '../domain/errors.ts';
import { CALL_ID_LIMIT, callId, linkId } from '../domain/ids.ts';
import type { Clock, Timers } from '../domain/ports.ts';
import { EMPTY_PROFILE, FULL_PROFILE, declaredCapabilities } from '../protocol/capability-profile.ts';
import { LATEST_REVISION } from '../protocol/eras.ts';
import { encode } from '../protocol/json-rpc.ts';
import type { Connector } from '../upstream/connector.ts';
import { SseLink } from '../upstream/link.ts';
import { withoutSent } from '../upstream/sent-secrets.ts';
import type { UpstreamUrl } from '../upstream/upstream-url.ts';
import { orLate } from './bounded.ts';
import { ahead } from './document-facts.ts';
import type { UpstreamFacts } from './upstream-findings.ts';

/** A failure → what is wrong and the next step, in one sentence. */
export type Diagnosis = (error: ProxyError, url: URL) => string;

export interface Opening {
  readonly upstream: UpstreamConfig;
  /** What goes for it. */
  readonly settings: Config;
  readonly url: UpstreamUrl;
  readonly connector: Connector;
  readonly version: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly signal: AbortSignal;
  readonly diagnosisOf: Diagnosis;
}

export interface Opened {
  readonly facts: UpstreamFacts;
  /** Of the server’s clock; null: it did not say. */
  readonly aheadMs: number | null;
}

/** Where it stood when time was up. */
const PHASES: Readonly<Record<string, string>> = {
  connecting: 'without an answer to its GET',
  'awaiting-endpoint': 'without an endpoint event',
  initializing: 'without an answer to initialize',
};

export async function opened({ signal, diagnosisOf, ...opening }: Opening): Promise<Opened> {
  const { url, connector, clock } = opening;
  const dispatcher = new Agent({ connect: connector });
  const startedAt = clock.now();
  const passed = (): number => clock.now() - startedAt;
  let aheadMs: number | null = null;
  const link = linkTo(opening, dispatcher, (headers) => {
    aheadMs ??= ahead(headers, Date.now());
  });
  try {
    const facts = link.open().then(
      ({ server, revision, offers }): UpstreamFacts => {
        return {
          state: 'opened',
          ms: passed(),
          server: withoutSent(server, opening.upstream, url.headers),
          revision,
          lists: offers.lists,
        };
      },
      (thrown: unknown): UpstreamFacts => {
        const error = asProxyError(thrown);
        const why = diagnosisOf(error, url.endpoint.sseUrl);
        return { state: 'failed', ms: passed(), isRefusal: error.code === 'upstream_unauthorized', why };
      },
    );
    const late: UpstreamFacts = { state: 'late', phase: '' };
    const made = await orLate(facts, late, signal);
    return {
      facts: made === late ? { ...late, phase: PHASES[link.state.phase] ?? 'for no known reason' } : made,
      aheadMs,
    };
  } finally {
    link.close('shutdown');
    await dispatcher.destroy();
  }
}

function linkTo(
  { upstream, settings, url, connector, version, clock, timers }: Omit<Opening, 'signal' | 'diagnosisOf'>,
  dispatcher: Agent,
  onHeaders: (headers: IncomingHttpHeaders) => void,
): SseLink {
  // What the links of the pool declare, or the only one.
  const declared = settings.links.single === true && upstream.asks !== 'never' ? FULL_PROFILE : EMPTY_PROFILE;
  return new SseLink({
    id: linkId(1),
    upstream: upstream.name,
    endpoint: url.endpoint,
    headers: () => url.headers,
    // Asked of every answer: it is where its headers can be seen.
    refusalOf: (_status, headers) => {
      onHeaders(headers);
      return null;
    },
    offer: {
      revision: LATEST_REVISION,
      capabilities: encode(JSON.stringify(declaredCapabilities(declared))),
      clientInfo: encode(JSON.stringify({ name: 'mcp-causeway', version })),
    },
    // By chance: a server that sends answers to everybody must not send this one to somebody else’s question.
    initializeId: callId(randomInt(CALL_ID_LIMIT)),
    dispatcher,
    connector,
    timeouts: settings.timeouts,
    limits: settings.limits,
    clock,
    timers,
    journal: { record() {} },
    receiver: { message() {}, lost() {} },
    onStrayAnswer() {},
  });
}
