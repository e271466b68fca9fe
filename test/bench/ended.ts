// Whether a process is over, also when nobody has taken note of its end yet.
import { readFileSync } from 'node:fs';

export function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] === 'Z';
  } catch {
    return true;
  }
}
