// Runs a target so and so often, watched from outside.

import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { TargetName } from './targets.ts';

export interface Fault {
  readonly why: string;
  /** Base64; as a file in corpus/TARGET it is tried every time. */
  readonly input: string;
}

export interface FuzzReport {
  readonly target: TargetName;
  readonly executions: number;
  readonly seed: number;
  /** In how many ways inputs went through it. */
  readonly ways: number;
  readonly slowestMs: number;
  readonly faults: readonly Fault[];
}

export interface Job {
  readonly target: TargetName;
  readonly executions: number;
  readonly seed: number;
  /** The number of the execution that runs, and the length of its input. */
  readonly progress: SharedArrayBuffer;
  readonly inputBytes: SharedArrayBuffer;
}

/** Of one execution: then it never comes back. */
const HANGS_MS = 30_000;
const MAX_INPUT = 64 * 1024;

export async function fuzz(target: TargetName, executions: number, seed: number): Promise<FuzzReport> {
  const progress = new SharedArrayBuffer(8);
  const inputBytes = new SharedArrayBuffer(MAX_INPUT);
  const job: Job = { target, executions, seed, progress, inputBytes };
  const worker = new Worker(join(import.meta.dirname, 'worker.ts'), { workerData: job });
  const reported = new Promise<FuzzReport>((resolve, reject) => {
    worker.once('message', resolve).once('error', reject);
    worker.once('exit', (code) => reject(new Error(`${target}: the thread ended with ${code}`)));
  });
  const done = new Int32Array(progress);
  let seen = 0;
  const hung = Promise.withResolvers<FuzzReport>();
  const watch = setInterval(() => {
    const number = Atomics.load(done, 0);
    if (number !== seen || number === 0) {
      seen = number;
      return;
    }
    const input = Buffer.from(inputBytes).subarray(0, Atomics.load(done, 1)).toString('base64');
    const faults = [{ why: `does not come back within ${HANGS_MS} ms`, input }];
    hung.resolve({ target, executions: number, seed, ways: 0, slowestMs: HANGS_MS, faults });
  }, HANGS_MS);
  try {
    return await Promise.race([reported, hung.promise]);
  } finally {
    clearInterval(watch);
    reported.catch(() => {});
    await worker.terminate();
  }
}

export function linesOf({ target, executions, seed, ways, slowestMs, faults }: FuzzReport): string[] {
  const told = `${target}: ${executions} executions, ${ways} ways, slowest ${slowestMs.toFixed(1)} ms, ${faults.length} faults; seed ${seed}`;
  return [told, ...faults.map(({ why, input }) => `- ${why}\n  input (base64): ${input}`)];
}
