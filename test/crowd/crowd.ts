// Many callers at once who have everything in common but their keys: ids, progress tokens, the tool that they call. Each
// looks for a mark that is not its own in what it gets, and for its id as it was sent, byte for byte.

import { createHash } from 'node:crypto';
import { Agent, request } from 'undici';
import { onTestFinished } from 'vitest';
import { type GatewayProcess, inTurn, startGatewayProcess } from '../support/gateway-process.ts';
import { JSON_HEADERS } from '../support/gateway.ts';
import type { Scrape } from '../support/prometheus.ts';
import { type Seeded, seeded } from '../support/seeded.ts';
import { type MixingUpstream, STOLEN, startMixingUpstream } from './mixing-upstream.ts';

export interface CrowdOptions {
  readonly callers: number;
  readonly calls: number;
  readonly atOnce: number;
  readonly seed: number;
}

export interface CrowdReport {
  /** What somebody got that was not for him, or not as it should be: nothing. */
  readonly wrong: readonly string[];
  readonly answered: number;
  /** Calls whose client did not wait for the answer. */
  readonly left: number;
  readonly withProgress: number;
  readonly by: Readonly<Record<Mode, number>>;
  readonly hostile: MixingUpstream['sent'];
  /** Of those, how many were sent while every caller had links of its own; and answers that were dropped by then. */
  readonly due: number;
  readonly dropped: number;
  /** At the end: the gateway has found out that the server answers elsewhere. */
  readonly isSingle: boolean;
  readonly seconds: number;
}

const MODES = ['session', 'sessionless', 'modern'] as const;
type Mode = (typeof MODES)[number];

/** As they go over the wire. */
const IDS = [
  '0',
  '"0"',
  '-3',
  '1',
  '9007199254740993',
  '123456789012345678901234567890',
  '-9223372036854775809',
  '""',
  '"\\u0030"',
  '"ü\\n\\u2028 \\ud83d\\ude00"',
  `"${'long'.repeat(300)}"`,
];
const TOKENS = ['0', '"0"', '7', '"token"', '9007199254740993'];
const PREFIX = 'io.modelcontextprotocol/';
const ENVELOPE =
  `"${PREFIX}protocolVersion":"2026-07-28","${PREFIX}clientCapabilities":{},` +
  `"${PREFIX}clientInfo":{"name":"c","version":"1"}`;
const MARK = /m-\d+-\d+-/g;
/** The part of the calls before the server shows that it answers on the streams of others. */
const ELSEWHERE_AFTER = 0.9;

interface Caller {
  readonly mode: Mode;
  readonly headers: Readonly<Record<string, string>>;
}

export async function crowd({ callers: count, calls, atOnce, seed }: CrowdOptions): Promise<CrowdReport> {
  const random = seeded(seed);
  const upstream = await startMixingUpstream(seeded(seed + 1));
  const keys = Array.from(
    { length: count },
    (_, i) => `c${i}=${createHash('sha256').update(`key-${i}`).digest('hex')}`,
  );
  const gateway = await startGatewayProcess(
    upstream.url,
    `--inbound-bearer-keys=${keys.join(',')}`,
    '--log-level=error',
    '--links-min=0',
    `--links-max-total=${count}`,
    `--links-max-dedicated=${count}`,
    '--links-idle-timeout=1h',
    '--links-ping-interval=1h',
    `--links-max-queue=${10 * atOnce}`,
    '--heartbeat=1h',
    // A thousand links are opened at first, on a machine that may be busy: late is not crossed.
    '--links-queue-timeout=5m',
    ...['connect', 'headers', 'endpoint', 'initialize', 'post'].map((each) => `--timeouts-${each}=5m`),
  );
  const dispatcher = new Agent({ connections: atOnce });
  onTestFinished(() => dispatcher.destroy());
  const all = await inTurn(count, 32, (number) => callerOf(number, gateway, dispatcher));

  const wrong: string[] = [];
  const by = { session: 0, sessionless: 0, modern: 0 };
  const leaving = new Map<string, AbortController>();
  upstream.onCall = (mark) => leaving.get(mark)?.abort();
  let [answered, left, withProgress] = [0, 0, 0];
  const turn = async (number: number): Promise<void> => {
    const who = random.below(count);
    const caller = all[who] as Caller;
    const call = callOf(random, caller, `m-${who}-${number}-`);
    const leaves = random.fraction() < 0.01 ? new AbortController() : null;
    if (leaves !== null) leaving.set(call.mark, leaves);
    by[caller.mode]++;
    try {
      const response = await request(gateway.endpoint, {
        method: 'POST',
        headers: call.headers,
        body: call.body,
        dispatcher,
        ...(leaves && { signal: leaves.signal }),
      });
      const text = await response.body.text();
      const fault = faultOf(call, response.statusCode, text);
      if (fault !== null) wrong.push(`call ${number} of ${who} (${caller.mode}, id ${call.id}): ${fault}`);
      answered++;
      if (text.includes('notifications/progress')) withProgress++;
    } catch (error) {
      if (leaves?.signal.aborted !== true) throw error;
      left++;
    } finally {
      leaving.delete(call.mark);
    }
  };
  const startedAt = performance.now();
  const apart = Math.floor(calls * ELSEWHERE_AFTER);
  await inTurn(apart, atOnce, turn);
  const due = upstream.sent.duplicate + upstream.sent.unknown;
  const answers = ['duplicate_answer', 'unknown_answer', 'late_answer'];
  const droppedIn = (of: Scrape): number =>
    answers.reduce((sum, what) => sum + of.sum('causeway_drops_total', { what }), 0);
  const counted = await gateway.scrapeUntil((of) => droppedIn(of) >= due, 10_000);
  upstream.answerElsewhere();
  await inTurn(calls - apart, atOnce, (number) => turn(apart + number));
  const seconds = (performance.now() - startedAt) / 1000;
  // What is said on links that end as the one link takes over nobody reads: only what came before is to be counted.
  const isSingle = (await gateway.scrape()).sum('causeway_upstream_single') === 1;
  return {
    wrong,
    answered,
    left,
    withProgress,
    by,
    hostile: upstream.sent,
    due,
    dropped: droppedIn(counted),
    isSingle,
    seconds,
  };
}

async function callerOf(number: number, { endpoint }: GatewayProcess, dispatcher: Agent): Promise<Caller> {
  const mode = MODES[number % MODES.length] as Mode;
  const headers = { ...JSON_HEADERS, authorization: `Bearer key-${number}` };
  if (mode === 'modern') {
    return {
      mode,
      headers: { ...headers, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'mark' },
    };
  }
  if (mode === 'sessionless') return { mode, headers };
  const body = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}`;
  const opened = await request(endpoint, { method: 'POST', headers, body, dispatcher });
  const text = await opened.body.text();
  const session = opened.headers['mcp-session-id'];
  if (typeof session !== 'string') throw new Error(`no session: ${opened.statusCode} ${text}`);
  return { mode, headers: { ...headers, 'mcp-session-id': session } };
}

interface CrowdCall {
  readonly id: string;
  readonly token: string | null;
  readonly mark: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function callOf(random: Seeded, { mode, headers }: Caller, mark: string): CrowdCall {
  const id = random.pick(IDS);
  const token = random.fraction() < 0.2 ? random.pick(TOKENS) : null;
  const meta = [...(mode === 'modern' ? [ENVELOPE] : []), ...(token === null ? [] : [`"progressToken":${token}`])].join(
    ',',
  );
  const params = `{"name":"mark","arguments":{"mark":"${mark}"},"_meta":{${meta}}}`;
  return { id, token, mark, headers, body: `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}` };
}

/** What is wrong with an answer; null: it is his, and his alone. */
function faultOf({ id, token, mark }: CrowdCall, status: number, text: string): string | null {
  const shown = `${status} ${text.slice(0, 500)}`;
  if (text.includes(STOLEN)) return `stolen: ${shown}`;
  const foreign = (text.match(MARK) ?? []).find((found) => found !== mark);
  if (foreign !== undefined) return `of another (${foreign}): ${shown}`;
  if (
    status !== 200 ||
    !text.includes(`"id":${id},"result":{`) ||
    !text.includes(`"structuredContent":{"mark":"${mark}"}`)
  )
    return `not the answer: ${shown}`;
  const tokens = Array.from(text.matchAll(/"progressToken":("[^"]*"|[\d-]+)/g), ([, found]) => found);
  if (tokens.some((found) => found !== token)) return `a progress token that is not his: ${shown}`;
  return null;
}
