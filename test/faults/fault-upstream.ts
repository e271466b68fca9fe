// The upstream of a fault bench: a tool that says whose call it was and counts how often each ran, and what can be done
// to the server as a whole.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { within } from '../support/eventually.ts';
import { type Answerer, type Behaviour, lineEnds, text } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { MARK } from './toxic-relay.ts';

const START_MS = 20_000;

export interface FaultUpstream {
  readonly port: number;
  /** How often each call ran, by its tag, in all lives of the server. */
  ran(): Promise<ReadonlyMap<string, number>>;
  /** Every event stream ends; the server stays. */
  cutStreams(): void;
  /** Says on every stream that the list of tools is another, after it became another. */
  change(): Promise<void>;
  kill(): Promise<void>;
  /** After `kill`: listens again, at the port that is then said. */
  start(): Promise<void>;
  /** Nothing is answered and nothing is closed, until `goOn`. */
  halt?(): void;
  goOn?(): void;
  close(): Promise<void>;
}

/** What an answer to the call with this tag says. */
export const said = (tag: string): string => `${tag}${MARK}\u{1f600}\r\nü`;

/** `onRun`: told of each execution before it is answered. `tools`: named in the list beside those that are there. */
export function faultBehaviour(
  onRun: (tag: string) => void | Promise<void>,
  tools: readonly string[] = [],
): Partial<Behaviour> {
  const fated: Answerer = async ({ args }) => {
    const tag = String(args['tag']);
    await onRun(tag);
    const { afterMs } = args;
    if (typeof afterMs === 'number') await pass(afterMs);
    return text(said(tag));
  };
  const asks: Answerer = async (call) => {
    const tag = String(call.args['tag']);
    await onRun(tag);
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } };
    const asked = call.ask('elicitation/create', { message: tag, requestedSchema });
    await Promise.race([asked, call.stream.closed, call.cancelled]);
    return text(said(tag));
  };
  const progresses: Answerer = async (call) => {
    for (let i = 1; i <= 3; i++) call.progress(i);
    return fated(call);
  };
  const own = { fated, asks, progresses };
  return {
    framing: { lineEnds: lineEnds.mixed, space: true, eventField: true },
    tools: own,
    methods: {
      'tools/list': () => ({
        tools: [...Object.keys(own), ...tools].map((name) => ({ name, inputSchema: { type: 'object' } })),
      }),
    },
  };
}

export async function changeTools(server: LegacyServer, tools: string[]): Promise<void> {
  tools.push(`more-${tools.length}`);
  for (const stream of server.streams) {
    server.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  }
}

/** In this process. */
export async function startFaultUpstream(): Promise<FaultUpstream> {
  const ran = new Map<string, number>();
  const tools: string[] = [];
  const server = await startLegacyServer(faultBehaviour((tag) => void ran.set(tag, (ran.get(tag) ?? 0) + 1), tools));
  return {
    get port() {
      return Number(server.url.port);
    },
    ran: async () => ran,
    cutStreams: () => server.cutStreams(),
    change: () => changeTools(server, tools),
    kill: () => server.stop(),
    start: () => server.start(),
    close: () => server.close(),
  };
}

export type ToChild = 'cut streams' | 'change';
export type FromChild = { readonly port: number } | { readonly ran: string };

/** In a process of its own, which can be killed and stopped. */
export async function startFaultUpstreamProcess(): Promise<FaultUpstream> {
  const ran = new Map<string, number>();
  let child: ChildProcess;
  let port = 0;
  const start = async (): Promise<void> => {
    const started = Promise.withResolvers<number>();
    child = fork(join(import.meta.dirname, 'upstream-process.ts'));
    child.on('message', (message: FromChild) => {
      if ('port' in message) started.resolve(message.port);
      else ran.set(message.ran, (ran.get(message.ran) ?? 0) + 1);
    });
    port = await within(START_MS, 'the start of the upstream', started.promise);
  };
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const tell = (message: ToChild): void => {
    // One that is killed just now has no streams either.
    if (child.connected) child.send(message, () => {});
  };
  await start();
  return {
    get port() {
      return port;
    },
    ran: async () => ran,
    cutStreams: () => tell('cut streams'),
    change: async () => tell('change'),
    kill,
    start,
    halt: () => void child.kill('SIGSTOP'),
    goOn: () => void child.kill('SIGCONT'),
    close: kill,
  };
}
