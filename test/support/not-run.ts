// A reporter: the last lines of a long run say what it could not run here, and why. What is said nowhere passes for run.

import type { Reporter, TestModule } from 'vitest/node';

/** Where a test says so itself: see takes(). */
type Note = string | undefined;

export class NotRunReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const notes = modules.flatMap((module) =>
      Array.from(module.children.allTests('skipped'), (test): Note => {
        const result = test.result();
        return result.state === 'skipped' ? result.note : undefined;
      }),
    );
    for (const line of notRun(notes)) console.warn(line);
  }
}

export function notRun(notes: readonly Note[]): string[] {
  if (notes.length === 0) return [];
  const counts = new Map<string, number>();
  for (const note of notes) {
    const why = note ?? 'for another machine, or to be asked for';
    counts.set(why, (counts.get(why) ?? 0) + 1);
  }
  const lines = Array.from(counts, ([why, count]) => `  ${count} ${count === 1 ? 'test' : 'tests'}: ${why}`);
  return ['Not run here:', ...lines];
}
