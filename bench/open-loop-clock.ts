// A thread that sleeps and ticks. The first cell ends it; the second says that a tick has not been taken yet, so that a
// busy loop is not flooded with them.
import { parentPort, workerData } from 'node:worker_threads';

const { cells, periodMs }: { readonly cells: Int32Array; readonly periodMs: number } = workerData;

while (Atomics.wait(cells, 0, 0, periodMs) === 'timed-out') {
  if (Atomics.exchange(cells, 1, 1) === 0) parentPort?.postMessage(0);
}
