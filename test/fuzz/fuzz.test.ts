import { expect, test } from 'vitest';
import { fuzz, linesOf } from './fuzz.ts';
import { Mutator } from './mutator.ts';
import { TARGET_NAMES } from './targets.ts';

test('the same seed makes the same inputs, and another one others', () => {
  const made = (seed: number): string[] => {
    const mutator = new Mutator(seed, [Buffer.from('{"a":1}'), Buffer.from('data: x\n\n')], ['id', '\r\n']);
    return Array.from({ length: 200 }, () => {
      const input = mutator.next();
      mutator.took(input, String(input.length % 7));
      return input.toString('hex');
    });
  };

  expect(made(7)).toEqual(made(7));
  expect(made(7)).not.toEqual(made(8));
  expect(new Set(made(7)).size).toBeGreaterThan(150);
});

test.concurrent.each(TARGET_NAMES)(
  '%s: a thousand inputs, and every one that was once wrong',
  async (target) => {
    const report = await fuzz(target, 1000, 1);

    expect(report.faults, linesOf(report).join('\n')).toEqual([]);
    expect(report.executions).toBe(1000);
    expect(report.ways).toBeGreaterThan(10);
  },
  60_000,
);
