// Many cells, some at a time, with calls spread over them; and what came of it as a table.

import { type Seeded, seeded } from '../support/seeded.ts';
import { type Cell, type CellReport, nameOf, playCell } from './fault-cell.ts';
import { type FaultUpstream, startFaultUpstreamProcess } from './fault-upstream.ts';

/** They wait more than they compute. */
const AT_ONCE = 6;

export interface Bench {
  readonly cells: readonly Cell[];
  /** Tool calls in all, before those that show that it works again. */
  readonly calls: number;
  readonly seed: number;
  /** Cells whose upstream is a process of its own. */
  readonly processes?: readonly Cell[];
  readonly onReport?: (report: CellReport) => void;
}

export async function playCells(bench: Bench): Promise<CellReport[]> {
  const random = seeded(bench.seed);
  const { cells, processes = [] } = bench;
  const all = cells.length + processes.length;
  const todo = [
    ...cells.map((cell) => order(cell, random)),
    ...processes.map((cell) => ({ ...order(cell, random), upstream: startFaultUpstreamProcess })),
  ].map((one, i) => ({
    ...one,
    calls: Math.floor(((i + 1) * bench.calls) / all) - Math.floor((i * bench.calls) / all),
  }));
  const reports: CellReport[] = [];
  const next = async (): Promise<void> => {
    for (let one = todo.shift(); one !== undefined; one = todo.shift()) {
      const { cell, ...options } = one;
      // oxlint-disable-next-line no-await-in-loop -- some at a time
      const report = await playCell(cell, { ...options, calls: Math.max(2, options.calls) });
      bench.onReport?.(report);
      reports.push(report);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return reports;
}

function order(
  cell: Cell,
  random: Seeded,
): { readonly cell: Cell; readonly seed: number; upstream?: () => Promise<FaultUpstream> } {
  return { cell, seed: random.below(2 ** 31) };
}

/** Each with the name of its cell. */
export function faultsIn(reports: readonly CellReport[]): string[] {
  return reports.flatMap(({ cell, faults }) => faults.map((fault) => `${nameOf(cell)}: ${fault}`));
}

/** One row for each trouble at each place, all kinds of clients together. */
export function tableOf(reports: readonly CellReport[]): string {
  const rows = new Map<string, CellReport[]>();
  for (const report of reports) {
    const name = `${report.cell.trouble} | ${report.cell.place}`;
    rows.set(name, [...(rows.get(name) ?? []), report]);
  }
  const lines = [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, of]) => {
      const sum = (key: 'calls' | 'results' | 'errors' | 'trips'): number => of.reduce((all, one) => all + one[key], 0);
      const most = (key: 'longestMs' | 'recoveredMs'): number => Math.max(...of.map((one) => one[key]));
      const faults = of.reduce((all, one) => all + one.faults.length, 0);
      const cells = [sum('calls'), sum('results'), sum('errors'), sum('trips'), most('longestMs'), most('recoveredMs')];
      return `| ${name} | ${[...cells, faults].join(' | ')} |`;
    });
  const head = ['trouble', 'place', 'calls', 'results', 'errors', 'trips', 'longest ms', 'recovered ms', 'faults'];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n');
}
