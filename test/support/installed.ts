// Programs of the machine that some long tests take: .ci/run installs them.

import { spawnSync } from 'node:child_process';
import type { TestContext } from 'vitest';

/** Debian's servers stand where only root looks for programs. */
export const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

/** A missing one fails the test where everything must run, and elsewhere the test is passed over, and said to be. */
export function takes(context: TestContext, ...programs: readonly string[]): void {
  const missing = programs.filter((program) => spawnSync('which', [program], { env: { PATH } }).status !== 0);
  if (missing.length === 0) return;
  const why = `not installed: ${missing.join(', ')}; .ci/run says from which packages they come`;
  if (process.env['CI']) throw new Error(why);
  console.warn(why);
  context.skip(why);
}

/** What it prints. Throws with all it says where it fails. */
export function output(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH, ...env },
    timeout: 60_000,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}
