// What processes use, read from /proc: Linux only.
import { readFileSync } from 'node:fs';

/** The kernel counts CPU time in hundredths of a second, whatever its own tick is. */
const US_PER_TICK = 10_000;
const BYTES_PER_KB = 1024;

/** A process and all that it started, and those in turn, as far as they still run. */
export function processTree(root: number): number[] {
  const found = [root];
  // The list grows while it is walked. Children hang on the thread that started them, which is always the first here.
  for (const pid of found) {
    const children = read(`/proc/${pid}/task/${pid}/children`) ?? '';
    found.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return found;
}

/**
 * CPU time the processes have used so far, all their threads, user and system, and what children of theirs used that
 * have ended: a sum that never falls while they run. No process, no number.
 */
export function cpuUs(pids: readonly number[]): number {
  return sum(pids, (pid) => {
    const stat = read(`/proc/${pid}/stat`);
    if (stat === undefined) return 0;
    // The second field is the name in parentheses and may hold spaces; the times are the 14th to the 17th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0) * US_PER_TICK;
  });
}

/** The memory they hold, summed: pages that two of them share count twice. */
export function rssBytes(pids: readonly number[]): number {
  return sum(pids, (pid) => {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
    return Number(kilobytes ?? 0) * BYTES_PER_KB;
  });
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.length === 0 ? Number.NaN : pids.reduce((total, pid) => total + of(pid), 0);
}

/** Nothing where the process has ended in the meantime. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
