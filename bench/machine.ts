// What /proc tells of the machine and of processes, beside their CPU. Linux only.
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The kernel counts CPU time in hundredths of a second, whatever its own tick is. */
const US_PER_TICK = 10_000;
export const CORES = availableParallelism();

/** CPU time all programs have used, and what the host took away; not the kernel's own, most of which is our packets. */
export function busyUs(): number {
  const [, user = 0, nice = 0, system = 0, , , , , steal = 0] = readFileSync('/proc/stat', 'utf8')
    .slice(0, 400)
    .split('\n', 1)
    .join('')
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + steal) * US_PER_TICK;
}

/** From now on the peak is a new one. */
export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) ifAlive(() => writeFileSync(`/proc/${pid}/clear_refs`, '5'));
}

/** The most memory that was resident since. */
export function peakBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = ifAlive(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
    return sum + Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  }, 0);
}

/** Chains end processes of theirs when they like. */
function ifAlive<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
