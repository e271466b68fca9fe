// What this machine, or the container, gives the process.

import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Config } from '../config/schema.ts';
import type { MemoryFacts } from './machine-findings.ts';

export function memoryFacts({ limits }: Pick<Config, 'limits'>): MemoryFacts {
  const heapBytes = getHeapStatistics().heap_size_limit;
  const machine = totalmem();
  // Without a limit it is 0, or more than there is.
  const constrained = process.constrainedMemory();
  const isContainer = constrained > 0 && constrained < machine;
  return {
    availableBytes: isContainer ? constrained : machine,
    isContainer,
    heapBytes,
    receivedBytes: limits.receivedBytes || heapBytes / 4,
    bufferedBytes: limits.bufferedBytes || heapBytes / 4,
  };
}
