// One target, fuzzed in a thread of its own: what never comes back can be seen from outside, with the input that it had.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { Fault, FuzzReport, Job } from './fuzz.ts';
import { Mutator } from './mutator.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const SLOW_MS = 100;
/** More would say the same. */
const MAX_FAULTS = 5;

const { target, executions, seed, progress, inputBytes } = workerData as Job;
const { check, words }: Target = TARGETS[target];
const done = new Int32Array(progress);
const shown = new Uint8Array(inputBytes);

const folder = join(import.meta.dirname, 'corpus', target);
const corpus = readdirSync(folder)
  .toSorted()
  .map((file) => readFileSync(join(folder, file)));
const mutator = new Mutator(seed, corpus, words);
const faults: Fault[] = [];
let slowestMs = 0;

/** The milliseconds that it took. */
function execute(input: Buffer): number {
  const startedAt = performance.now();
  mutator.took(input, check(input));
  return performance.now() - startedAt;
}

/** Once more, and only what this thread worked: others use the machine, too. */
function isSlow(input: Buffer): boolean {
  const before = process.threadCpuUsage();
  check(input);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000 > SLOW_MS;
}

for (let number = 0; number < executions && faults.length < MAX_FAULTS; number++) {
  // First as they are: what was wrong once stays mended.
  const input = corpus[number] ?? mutator.next();
  shown.set(input);
  Atomics.store(done, 1, input.length);
  Atomics.store(done, 0, number + 1);
  try {
    const ms = execute(input);
    // What is compiled is compiled by then.
    if (number >= corpus.length) slowestMs = Math.max(slowestMs, ms);
    if (ms > SLOW_MS && isSlow(input)) faults.push({ why: `took over ${SLOW_MS} ms`, input: input.toString('base64') });
  } catch (thrown) {
    const why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    faults.push({ why: why.slice(0, 2000), input: input.toString('base64') });
  }
}

const report: FuzzReport = { target, executions: Atomics.load(done, 0), seed, ways: mutator.ways, slowestMs, faults };
parentPort?.postMessage(report);
