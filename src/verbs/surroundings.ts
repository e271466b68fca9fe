// What of the machine a verb may use: so that it can be run in a test as well as by the program.

import { readFileSync } from 'node:fs';
import type { Surroundings } from '../config/substitution.ts';

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

/** stdout carries results only; everything that is said beside goes to stderr. */
export interface Machine extends Surroundings {
  readonly stdout: Terminal;
  readonly stderr: Terminal;
}

export const THIS_MACHINE = {
  env: process.env,
  readFile: (path: string) => readFileSync(path, 'utf8'),
  stdout: process.stdout,
  stderr: process.stderr,
} satisfies Machine;
