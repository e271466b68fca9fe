// The pods that there could be, stopped as a kubelet stops them, ten times as fast: the real program and the demo's old
// server as a process group each, and the waits of the manifests. What becomes of the calls in flight is why `main` is the
// form to take.
//
// A kubelet runs preStop and sends SIGTERM to all containers at once, each as soon as its preStop is over; once the last has
// ended it goes on to the init containers that stayed. What runs when the grace period is over it kills.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as passed } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from '../docs/pages.ts';
import { configOf } from '../config/surroundings.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { readScrape } from '../support/prometheus.ts';
import { MAIN } from '../verbs/program.ts';
import { FOLDER, built } from './kustomize.ts';
import { OLD_SERVER, containerOf, podOf } from './pod.ts';

const FASTER = 10;
const IN_FLIGHT = 10;
/** How long each of the calls runs: within the drain, and longer than it takes to stop anything. */
const CALL_S = 1.5;
const WAIT_MS = 20_000;

interface Times {
  readonly delayMs: number;
  readonly timeoutMs: number;
  readonly graceMs: number;
  /** Of the old server, where it is a container. */
  readonly preStopMs: number;
}

/** Of a form, as its manifests have them, but faster. */
function timesOf(form: 'main' | 'sidecar'): Times {
  const manifests = built(join(FOLDER, 'overlays', form));
  const { env, files } = containerOf(manifests, { callers: `alice=${'ab'.repeat(32)}` });
  const { drain } = configOf({ yaml: files['/etc/causeway/proxy.yaml'] ?? '', env });
  const { spec } = podOf(manifests);
  const server = spec.containers.find(({ name }) => name === OLD_SERVER);
  const [, seconds = '0'] = server?.lifecycle?.preStop?.exec?.command ?? [];
  return {
    delayMs: drain.delay / FASTER,
    timeoutMs: drain.timeout / FASTER,
    graceMs: ((spec.terminationGracePeriodSeconds ?? 30) * 1000) / FASTER,
    preStopMs: (Number(seconds) * 1000) / FASTER,
  };
}

class Container {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  #said = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (piece) => (this.#said += String(piece)));
    this.ended = once(this.child, 'close');
    onTestFinished(async () => {
      this.signal('SIGKILL');
      await this.ended;
    });
  }

  /** To the whole group, as to everything in a container. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    if (this.child.exitCode === null && this.child.signalCode === null) process.kill(-(this.child.pid ?? 0), name);
  }

  async says(pattern: RegExp): Promise<string> {
    const late = AbortSignal.timeout(WAIT_MS);
    for (;;) {
      const [, found] = pattern.exec(this.#said) ?? [];
      if (found !== undefined) return found;
      // oxlint-disable-next-line no-await-in-loop -- until it says so
      await once(this.child.stderr ?? this.child, 'data', { signal: late });
    }
  }
}

interface Running {
  readonly gateway: Container;
  readonly server: Container;
  /** Calls of the tool that takes its time, and what comes back of each; resolves once the server runs them. */
  calls(): Promise<readonly Promise<string>[]>;
  /** Resolves once /readyz says that it drains. */
  isDraining(): Promise<void>;
}

async function running({ delayMs, timeoutMs }: Times): Promise<Running> {
  const port = await freePort();
  const module = JSON.stringify(join(ROOT, 'dist/verbs/demo/legacy-server.js'));
  const script = `import(${module}).then((m) => m.startLegacyServer({ host: '127.0.0.1', port: ${port} })).then(() => console.error('ready:', 'now'))`;
  const server = new Container(['-e', script]);
  await server.says(/ready: (now)/);
  const gateway = new Container([MAIN, `http://127.0.0.1:${port}/sse`], {
    CAUSEWAY_LISTEN: '127.0.0.1:0',
    CAUSEWAY_ADMIN: '127.0.0.1:0',
    CAUSEWAY_LOG_FORMAT: 'json',
    CAUSEWAY_DRAIN_DELAY: `${delayMs}ms`,
    CAUSEWAY_DRAIN_TIMEOUT: `${timeoutMs}ms`,
  });
  const endpoint = await gateway.says(/"endpoint":"([^"]+)"/);
  const admin = await gateway.says(/"admin":"([^"]+)"/);
  await gateway.says(/(upstream reached)/);
  let asked = 0;
  return {
    gateway,
    server,
    async calls() {
      const answers = Array.from({ length: IN_FLIGHT }, (_, id) => call(endpoint, id));
      asked += IN_FLIGHT;
      // Where the server is gone nothing runs, and all have been told so.
      const areOver = Promise.all(answers).then(() => true);
      const all = asked;
      const run = async (): Promise<true | null> =>
        readScrape(await (await fetch(`${admin}/metrics`)).text()).sum('causeway_calls') >= all || null;
      await Promise.race([areOver, eventually(WAIT_MS, run)]);
      return answers;
    },
    async isDraining() {
      await eventually(WAIT_MS, async () => (await fetch(`${admin}/readyz`)).status === 503 || null);
    },
  };
}

/** `result`, or the reason why there is none. */
async function call(endpoint: string, id: number): Promise<string> {
  const params = { name: 'slow', arguments: { seconds: CALL_S, steps: 1 } };
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }),
    signal: AbortSignal.timeout(WAIT_MS),
  }).catch(() => null);
  if (response === null) return 'refused';
  const answer = (await response.json()) as { result?: unknown; error?: { data?: { reason?: string } } };
  return answer.result === undefined ? String(answer.error?.data?.reason) : 'result';
}

/** Stops a pod: containers at once, each after its preStop, then the init containers that stayed. */
async function stopped(
  containers: readonly (readonly [container: Container, preStopMs: number])[],
  stayed: readonly Container[],
  graceMs: number,
): Promise<void> {
  const all = [...containers.map(([container]) => container), ...stayed];
  const isOver = passed(graceMs).then(() => all.forEach((container) => container.signal('SIGKILL')));
  await Promise.race([
    isOver,
    (async () => {
      await Promise.all(
        containers.map(async ([container, preStopMs]) => {
          // The wait is the kubelet's own, and what is tried here.
          if (preStopMs > 0) await passed(preStopMs);
          container.signal('SIGTERM');
          await container.ended;
        }),
      );
      for (const container of stayed) {
        container.signal('SIGTERM');
        // oxlint-disable-next-line no-await-in-loop -- one after the other, the last first
        await container.ended;
      }
    })(),
  ]);
}

/** What became of calls that run when the pod is told to stop, and of those that come while /readyz says 503. */
async function outcome(pod: Running, stop: () => Promise<void>): Promise<readonly string[]> {
  const before = await pod.calls();
  const end = stop();
  await pod.isDraining();
  const meanwhile = await pod.calls();
  const outcomes = await Promise.all([...before, ...meanwhile]);
  await end;
  return outcomes;
}

const ALL = Array.from({ length: 2 * IN_FLIGHT }, () => 'result');

test('main: the old server is an init container that stays, and every call is answered', async () => {
  const times = timesOf('main');
  const pod = await running(times);
  const stop = (): Promise<void> => stopped([[pod.gateway, 0]], [pod.server], times.graceMs);

  expect(await outcome(pod, stop)).toEqual(ALL);
  expect([pod.gateway.child.exitCode, pod.server.child.signalCode]).toEqual([0, 'SIGTERM']);
});

test('sidecar: the old server waits in its preStop, and every call is answered', async () => {
  const times = timesOf('sidecar');
  const pod = await running(times);
  const stop = (): Promise<void> =>
    stopped(
      [
        [pod.gateway, 0],
        [pod.server, times.preStopMs],
      ],
      [],
      times.graceMs,
    );

  expect(times.preStopMs).toBeGreaterThan(0);
  expect(await outcome(pod, stop)).toEqual(ALL);
  expect([pod.gateway.child.exitCode, pod.server.child.signalCode]).toEqual([0, 'SIGTERM']);
});

test('sidecar without that wait: every call is lost, and the gateway can only say so', async () => {
  const times = timesOf('sidecar');
  const pod = await running(times);
  const stop = (): Promise<void> =>
    stopped(
      [
        [pod.gateway, 0],
        [pod.server, 0],
      ],
      [],
      times.graceMs,
    );

  const outcomes = await outcome(pod, stop);

  expect(outcomes).not.toContain('result');
  // As the server had taken the call, or was about to.
  for (const reason of outcomes.slice(0, IN_FLIGHT)) expect(reason).toMatch(/^(?:upstream_session_lost|post_failed)$/);
  expect(pod.gateway.child.exitCode).toBe(0);
});

test('the other way round, the gateway as the one that stays: the server is gone before it is told', async () => {
  const times = timesOf('main');
  const pod = await running(times);
  const stop = (): Promise<void> => stopped([[pod.server, 0]], [pod.gateway], times.graceMs);

  expect(await outcome(pod, stop)).not.toContain('result');
  expect(pod.gateway.child.exitCode).toBe(0);
});
