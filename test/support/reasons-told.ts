// Which reasons of errors.ts clients were told, by gateways in front of sockets: kept with the test in which it happened, for
// a whole run to hold that there is none that nothing provokes and no test looks for.

import { readFileSync } from 'node:fs';
import { type RunnerTestCase, TestRunner } from 'vitest';
import type { TestCase } from 'vitest/node';
import { ERRORS, type ErrorCode } from '../../src/domain/errors.ts';
import type { Fact } from '../../src/domain/ports.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** Plain, as it goes from worker to reporter. */
    reasonsTold?: ErrorCode[];
  }
}

/** To be called with every fact of a gateway while its test runs. */
export function noteTold(fact: Fact): void {
  const isTold = fact.fact === 'exchange' || fact.fact === 'refused' || fact.fact === 'passthrough';
  if (!isTold || fact.reason === undefined) return;
  // None where a gateway runs outside of tests.
  const meta = TestRunner.getCurrentTest<RunnerTestCase | undefined>()?.meta;
  if (meta === undefined) return;
  const told = (meta.reasonsTold ??= []);
  if (!told.includes(fact.reason)) told.push(fact.reason);
}

/** What a test showed: its file, and the reasons that were told in it. */
export interface Telling {
  readonly file: string;
  readonly told: readonly ErrorCode[];
}

export function tellingsOf(passed: readonly TestCase[]): readonly Telling[] {
  return passed.map((test) => ({ file: test.module.moduleId, told: test.meta().reasonsTold ?? [] }));
}

/** Reasons that were told in no test whose file names them: what came about by chance was not looked for. */
export function unreached(
  tellings: readonly Telling[],
  textOf: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): readonly ErrorCode[] {
  const left = new Set(Object.keys(ERRORS) as ErrorCode[]);
  const texts = new Map<string, string>();
  for (const { file, told } of tellings) {
    for (const reason of told) {
      if (!left.has(reason)) continue;
      const text = texts.get(file) ?? textOf(file);
      texts.set(file, text);
      if (new RegExp(`\\b${reason}\\b`).test(text)) left.delete(reason);
    }
  }
  return [...left];
}
