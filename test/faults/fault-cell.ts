// One cell of the bench: calls of one kind of client through a gateway whose upstream is spoiled in one way at one place.
// Whatever happens: one outcome for each request, in time, its own; no tool runs twice; what is said of the outcome is
// true; and once the trouble is over calls succeed and nothing is left behind.

import { type Answer, type Gateway, type OpenReply, eventsOf, startGateway } from '../support/gateway.ts';
import { eventually, within } from '../support/eventually.ts';
import { HurriedTime } from '../support/hurried-time.ts';
import { modernMessage } from '../support/modern-client.ts';
import { type Seeded, seeded } from '../support/seeded.ts';
import { type FaultUpstream, said, startFaultUpstream } from './fault-upstream.ts';
import { PLACES, type Place, type Toxic, type ToxicRelay, startToxicRelay } from './toxic-relay.ts';

export const KINDS = ['session', 'sessionless', 'modern', 'listen'] as const;
export type Kind = (typeof KINDS)[number];

/** What happens to the upstream as a whole. */
export const ACCIDENTS = ['killed', 'restarted', 'stopped'] as const;
export type Accident = (typeof ACCIDENTS)[number];

const TOXICS = {
  latency: { kind: 'latency', ms: 30 },
  jitter: { kind: 'jitter', ms: 60 },
  bandwidth: { kind: 'bandwidth', bytesPerSecond: 8192 },
  'slow close': { kind: 'slow close', ms: 150 },
  blackhole: { kind: 'blackhole' },
  'slices of a byte': { kind: 'slicing', at: 'bytes' },
  'slices within characters': { kind: 'slicing', at: 'characters' },
  reset: { kind: 'reset' },
  'data limit': { kind: 'data limit', bytes: 20 },
} as const satisfies Record<string, Toxic>;
export type Trouble = keyof typeof TOXICS | Accident;

/** With these everything is only slower: every call has its result. */
const HARMLESS: ReadonlySet<Trouble> = new Set([
  'latency',
  'jitter',
  'bandwidth',
  'slices of a byte',
  'slices within characters',
]);

export interface Cell {
  readonly trouble: Trouble;
  readonly place: Place;
  readonly kind: Kind;
}

/** Those that play in one process. */
export const CELLS: readonly Cell[] = cellsOf([
  ...(Object.keys(TOXICS) as (keyof typeof TOXICS)[]),
  'killed',
  'restarted',
]);

export function cellsOf(troubles: readonly Trouble[]): Cell[] {
  return troubles.flatMap((trouble) => PLACES.flatMap((place) => KINDS.map((kind) => ({ trouble, place, kind }))));
}

export const nameOf = ({ trouble, place, kind }: Cell): string => `${trouble}, ${place}, ${kind}`;

export interface CellReport {
  readonly cell: Cell;
  readonly calls: number;
  readonly results: number;
  readonly errors: number;
  /** How often the place was reached. */
  readonly trips: number;
  readonly longestMs: number;
  /** From the end of the trouble to the first call that succeeds. */
  readonly recoveredMs: number;
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[];
}

/** So much faster than the clock; see HurriedTime. */
const HURRY = 10;
/** A call's time with all that may go before it and its one repetition: nobody waits longer, on a busy machine either. */
export const BOUND_MS = 8000;
const RECOVERY_MS = 8000;
const HARMLESS_MS = 30_000;

// In hurried time, but for what undici waits for: a tenth of it passes.
const LINKS = { min: 0, idleTimeout: '3s' } as const;
const RECONNECT = { min: '200ms', max: '1s' } as const;
const CONFIG = {
  timeouts: { connect: '500ms', headers: '400ms', endpoint: '5s', initialize: '8s', post: '5s', request: '10s' },
  links: { ...LINKS, queueTimeout: '10s', pingTimeout: '2s' },
  reconnect: RECONNECT,
} as const;
/** For what is only slow, and may be very slow on a busy machine. */
const PATIENT = {
  timeouts: { headers: '15s', endpoint: '150s', initialize: '150s', post: '150s', request: '150s' },
  links: { ...LINKS, queueTimeout: '150s', pingTimeout: '150s' },
  reconnect: RECONNECT,
} as const;

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const REVISIONS = ['2025-03-26', '2025-06-18', '2025-11-25'];
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';

export interface CellOptions {
  readonly calls: number;
  readonly seed: number;
  /** In this process where nothing is said. */
  readonly upstream?: () => Promise<FaultUpstream>;
}

export async function playCell(cell: Cell, options: CellOptions): Promise<CellReport> {
  const random = seeded(options.seed);
  const upstream = await (options.upstream ?? startFaultUpstream)();
  const relay = await startToxicRelay(upstream.port, random);
  const url = `http://127.0.0.1:${relay.port}/sse`;
  const gateway = await startGateway(url, HARMLESS.has(cell.trouble) ? PATIENT : CONFIG, new HurriedTime(HURRY));
  const play = new Play(cell, { gateway, relay, upstream, random });
  try {
    await play.run(options.calls);
  } catch (thrown) {
    play.faults.push(`the bench failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  } finally {
    relay.heal();
    await gateway.close();
    await relay.close();
    await upstream.close();
  }
  return play.report();
}

interface World {
  readonly gateway: Gateway;
  readonly relay: ToxicRelay;
  readonly upstream: FaultUpstream;
  readonly random: Seeded;
}

/** A request with its answer, or without where none came in time. */
interface Asked {
  readonly tag: string;
  readonly answer: Answer;
}

class Play {
  readonly faults: string[] = [];
  readonly #cell: Cell;
  readonly #world: World;
  readonly #sessions: string[] = [];
  readonly #listens: OpenReply[] = [];
  readonly #asked: Asked[] = [];
  #calls = 0;
  #results = 0;
  readonly #errors: string[] = [];
  #longestMs = 0;
  #recoveredMs = 0;
  /** What befell the upstream goes on. */
  #accident: Promise<void> = Promise.resolve();

  constructor(cell: Cell, world: World) {
    this.#cell = cell;
    this.#world = world;
  }

  report(): CellReport {
    return {
      cell: this.#cell,
      calls: this.#calls,
      results: this.#results,
      errors: this.#errors.length,
      trips: this.#world.relay.trips,
      longestMs: Math.round(this.#longestMs),
      recoveredMs: Math.round(this.#recoveredMs),
      faults: this.faults,
    };
  }

  async run(calls: number): Promise<void> {
    const { relay } = this.#world;
    const isEarly = this.#cell.place === 'before headers' || this.#cell.place === 'before endpoint';
    await this.#begin();
    this.#arm();
    const first = Math.ceil(calls / 2);
    for (const count of [first, calls - first]) {
      // oxlint-disable-next-line no-await-in-loop -- what is open has the place behind it
      if (isEarly && this.#isUp()) await this.#cut();
      // oxlint-disable-next-line no-await-in-loop -- one wave after the other
      await this.#wave(count);
    }
    const isHarmless = HARMLESS.has(this.#cell.trouble);
    if (relay.trips === 0) this.faults.push('the place was never reached');
    if (isHarmless) this.faults.push(...this.#errors.map((error) => `though nothing was lost: ${error}`));
    await this.#heal();
    await this.#recovers();
    await this.#checkRuns();
    await this.#leaves();
  }

  /** What is there before the trouble begins. */
  async #begin(): Promise<void> {
    const { gateway, random } = this.#world;
    if (this.#cell.kind === 'session') {
      // The timeouts are short, and the machine may be busy.
      await eventually(RECOVERY_MS, async () => {
        const protocolVersion = random.pick(REVISIONS);
        const session = await gateway.openSession({ protocolVersion }).catch(() => null);
        if (session !== null) this.#sessions.push(session);
        return this.#sessions.length < 2 ? null : true;
      });
    }
    if (this.#cell.kind === 'listen') {
      await eventually(RECOVERY_MS, async () => {
        await this.#listen();
        return this.#listens.length < 2 ? null : true;
      });
    }
  }

  #arm(): void {
    const { relay, upstream } = this.#world;
    const { trouble, place } = this.#cell;
    if (trouble === 'killed' || trouble === 'restarted' || trouble === 'stopped') {
      let isOver = false;
      relay.arm({ kind: 'none' }, place, () => {
        if (isOver) return;
        isOver = true;
        if (trouble === 'stopped') upstream.halt?.();
        else this.#accident = upstream.kill();
        if (trouble === 'restarted') this.#accident = this.#accident.then(() => this.#restart());
      });
    } else {
      relay.arm(TOXICS[trouble], place);
    }
  }

  #isUp(): boolean {
    return this.#cell.trouble !== 'killed' || this.#world.relay.trips === 0;
  }

  /** Every link is lost, and the gateway knows it. */
  async #cut(): Promise<void> {
    const { gateway, upstream } = this.#world;
    await this.#accident;
    const linksNow = () => (gateway.app.gauges().upstreams[0] ?? expectOne()).links;
    // One that is cut while it opens fails whoever waits for it by then.
    await eventually(BOUND_MS, () => {
      const { pooled, dedicated } = linksNow();
      return pooled.opening + dedicated.opening === 0 ? true : null;
    });
    const links = linksNow();
    const closed = (): number => gateway.journal.of('link_closed').length;
    const due = closed() + links.pooled.open + links.dedicated.open;
    upstream.cutStreams();
    await eventually(BOUND_MS, () => (closed() >= due ? true : null));
  }

  async #restart(): Promise<void> {
    await this.#world.upstream.start();
    this.#world.relay.retarget(this.#world.upstream.port);
  }

  async #heal(): Promise<void> {
    const { relay, upstream } = this.#world;
    await this.#accident;
    relay.heal();
    if (this.#cell.trouble === 'killed') await this.#restart();
    if (this.#cell.trouble === 'stopped') upstream.goOn?.();
  }

  /** Requests at the same time, each with its one outcome. */
  async #wave(count: number): Promise<void> {
    const requests = Array.from({ length: count }, (_, i) => this.#call(`${this.#calls + i}`));
    this.#calls += count;
    const beside = this.#cell.kind === 'listen' ? [this.#listen()] : [];
    if (this.#cell.kind === 'session') beside.push(this.#openSession());
    await Promise.all([...requests, ...beside]);
  }

  async #call(tag: string): Promise<boolean> {
    const answer = await this.#timed(`call ${tag}`, this.#send(tag));
    if (answer === null) return false;
    const isResult = this.#judge(tag, answer);
    this.#asked.push({ tag, answer });
    return isResult;
  }

  #send(tag: string): Promise<Answer> {
    const { gateway, random } = this.#world;
    const afterMs = this.#cell.place === 'after the 202' ? { afterMs: 20 } : {};
    const name = random.pick(['fated', 'fated', 'progresses']);
    const params = { name, arguments: { tag, ...afterMs } };
    switch (this.#cell.kind) {
      case 'session': {
        const headers = IN(random.pick(this.#sessions));
        return gateway.post({ jsonrpc: '2.0', id: tag, method: 'tools/call', params }, headers);
      }
      case 'sessionless':
        return gateway.call(name, params.arguments, tag);
      default: {
        const capabilities = random.pick([{}, { elicitation: { form: {} } }]);
        const { body, headers } = modernMessage('tools/call', params, { id: tag, capabilities });
        return gateway.send('POST', '/mcp', headers, body);
      }
    }
  }

  /** Its one outcome, its own. */
  #judge(tag: string, { status, text, json, events }: Answer): boolean {
    const heard = events.length > 0 ? events.filter((data) => data !== '').map((data) => JSON.parse(data)) : [json];
    const outcomes = heard.filter((message) => message !== undefined && message.method === undefined);
    if (outcomes.length !== 1) {
      this.faults.push(`call ${tag} has ${outcomes.length} outcomes: ${status} ${JSON.stringify(text.slice(0, 200))}`);
      return false;
    }
    const [outcome] = outcomes;
    if (outcome.id !== tag) this.faults.push(`call ${tag} was answered with the id ${String(outcome.id)}`);
    if (outcome.result !== undefined) {
      this.#results++;
      const is = outcome.result.content?.[0]?.text;
      if (is !== said(tag)) this.faults.push(`call ${tag} has the result ${JSON.stringify(is)}`);
      return true;
    }
    this.#errors.push(`call ${tag}: ${status} ${JSON.stringify(outcome.error)}`);
    if (outcome.error?.data?.reason === undefined || outcome.error.data.reason === 'internal_error') {
      this.faults.push(`call ${tag} has the error ${JSON.stringify(outcome.error)}`);
    }
    return false;
  }

  async #timed<T>(what: string, coming: Promise<T>): Promise<T | null> {
    const since = performance.now();
    const bound = HARMLESS.has(this.#cell.trouble) ? HARMLESS_MS : BOUND_MS;
    try {
      return await within(bound, what, coming);
    } catch (thrown) {
      this.faults.push(thrown instanceof Error ? thrown.message : String(thrown));
      return null;
    } finally {
      this.#longestMs = Math.max(this.#longestMs, performance.now() - since);
    }
  }

  async #openSession(): Promise<void> {
    const { gateway } = this.#world;
    const opened = await this.#timed(
      'initialize',
      gateway.post({
        jsonrpc: '2.0',
        id: 'i',
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
      }),
    );
    const session = opened?.headers['mcp-session-id'];
    const isOne = opened?.json?.id === 'i' && (typeof session === 'string') === (opened.json.result !== undefined);
    if (!isOne) this.faults.push(`initialize was answered by ${opened?.status} ${opened?.text}`);
    if (typeof session === 'string') this.#sessions.push(session);
  }

  /** Acknowledged and open from then on, or refused. */
  async #listen(): Promise<void> {
    const { gateway } = this.#world;
    const notifications = { toolsListChanged: true };
    const { body, headers } = modernMessage('subscriptions/listen', { notifications }, { id: 'l' });
    const reply = await this.#timed('a listen', gateway.open(body, headers));
    if (reply === null) return;
    const heard = await this.#timed(
      'the beginning of a listen',
      reply.until(reply.status === 200 ? '"jsonrpc"' : '\0'),
    );
    if (heard === null) return;
    if (heard.includes(ACKNOWLEDGED)) {
      this.#listens.push(reply);
      return;
    }
    const [data = heard] = eventsOf(heard);
    const refusal = JSON.parse(data);
    if (refusal.id !== 'l' || refusal.error?.data?.reason === undefined) {
      this.faults.push(`a listen was answered by ${reply.status} ${heard}`);
    }
  }

  /** The trouble is over: calls succeed, soon one and then all. */
  async #recovers(): Promise<void> {
    const since = performance.now();
    const first = await eventually(RECOVERY_MS, async () => ((await this.#next()) ? true : null));
    this.#recoveredMs = performance.now() - since;
    if (first === null) {
      this.faults.push(`no call succeeds ${RECOVERY_MS} ms after the trouble`);
      return;
    }
    // Each session has a link of its own to come back on.
    if (this.#cell.kind === 'session')
      await Promise.all(this.#sessions.map((session) => this.#sessionRecovers(session)));
    const results = await Promise.all(Array.from({ length: 5 }, () => this.#next()));
    const failed = results.filter((isResult) => !isResult).length;
    if (failed > 0) this.faults.push(`${failed} of 5 calls failed after the first had succeeded`);
    if (this.#cell.kind === 'listen') await this.#listensHear();
  }

  async #next(): Promise<boolean> {
    return this.#call(`${this.#calls++}`);
  }

  async #sessionRecovers(session: string): Promise<void> {
    const { gateway } = this.#world;
    const list = { jsonrpc: '2.0', id: 'list', method: 'tools/list' };
    const isBack = await eventually(RECOVERY_MS, async () => {
      const answer = await within(BOUND_MS, 'a list', gateway.post(list, IN(session)));
      return answer.json?.result === undefined ? null : true;
    });
    if (isBack === null) this.faults.push('a session never came back');
  }

  /** Every listen that was acknowledged is open, and hears of a change. */
  async #listensHear(): Promise<void> {
    const { upstream } = this.#world;
    const heard = this.#listens.map((listen) => listen.until('notifications/tools/list_changed'));
    const all = Promise.all(heard).then(() => true);
    // A link may be on its way still, and a change that is said to nobody is not heard.
    const isHeard = await eventually(RECOVERY_MS, async () => {
      await upstream.change();
      return Promise.race([all, eventually(200, () => null)]);
    });
    if (isHeard === null) this.faults.push('a listen heard nothing of a change');
    const ended = await Promise.all(this.#listens.map(async (listen) => eventsOf(await listen.until('\n\n')).length));
    if (ended.some((events) => events < 1)) this.faults.push('a listen has ended');
  }

  /** What was said of each call, held against what has run. */
  async #checkRuns(): Promise<void> {
    const ran = await this.#world.upstream.ran();
    let total = 0;
    for (const [tag, times] of ran) {
      total += times;
      if (times > 1) this.faults.push(`call ${tag} ran ${times} times`);
    }
    if (total > this.#calls) this.faults.push(`${total} executions of ${this.#calls} calls`);
    for (const { tag, answer } of this.#asked) {
      const times = ran.get(tag) ?? 0;
      const { error, result } = answer.json ?? {};
      if (result !== undefined && times !== 1) this.faults.push(`call ${tag} has a result and ran ${times} times`);
      const isRefused = answer.status >= 500 || error?.data?.outcome === 'not_executed';
      if (error !== undefined && isRefused && times > 0) {
        this.faults.push(`call ${tag} ran, though ${answer.status} ${JSON.stringify(error)} says that it did not`);
      }
    }
  }

  /** The clients go, and nothing is left. */
  async #leaves(): Promise<void> {
    const { gateway, relay } = this.#world;
    for (const listen of this.#listens) listen.leave();
    await Promise.all(this.#sessions.map((session) => gateway.send('DELETE', '/mcp', IN(session))));
    // Connections for POSTs are kept for a while; streams are not.
    const left = (): string[] => [...leftIn(gateway), ...(relay.openStreams > 0 ? ['streams at the relay'] : [])];
    const isEmpty = await eventually(RECOVERY_MS, () => (left().length === 0 ? true : null));
    if (isEmpty === null) this.faults.push(`left behind: ${left().join(', ')}`);
    const faults = gateway.journal.of('fault');
    if (faults.length > 0) this.faults.push(`${faults.length} faults of our own: ${String(faults[0]?.cause)}`);
  }
}

function expectOne(): never {
  throw new Error('there is one upstream');
}

/** What is not zero when nobody is there. */
export function leftIn({ app }: Pick<Gateway, 'app'>): string[] {
  const { upstreams, replies } = app.gauges();
  return upstreams.flatMap(
    ({ links, sessions, streams, passthroughStreams, calls, heldCalls, listens, waitingCallers }) => {
      const linkCounts = Object.values(links).flatMap((phases) => Object.values(phases));
      const counts = {
        replies,
        links: linkCounts.reduce((sum, count) => sum + count, 0),
        sessions,
        streams,
        passthroughStreams,
        calls,
        heldCalls,
        listens,
        waitingCallers,
      };
      return Object.entries(counts).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]));
    },
  );
}
