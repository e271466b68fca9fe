// What of the machine a verb may use: so that it can be run in a test as well as by the program.

import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Surroundings } from '../config/substitution.ts';

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

/** stdout carries results only; everything that is said beside goes to stderr. */
export interface Machine extends Surroundings {
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Whether every user of the machine may read it. */
  readonly isOpenToAll: (path: string) => boolean;
}

export const THIS_MACHINE = {
  env: process.env,
  readFile: (path: string) => readText(path),
  isOpenToAll,
  stdout: process.stdout,
  stderr: process.stderr,
} satisfies Machine;

function isOpenToAll(path: string): boolean {
  // A pipe, and what is gone by now, nobody else reads.
  const stats = statSync(path, { throwIfNoEntry: false });
  // oxlint-disable-next-line no-bitwise -- as node:fs has it
  return stats?.isFile() === true && (stats.mode & constants.S_IROTH) !== 0;
}

/** Far more than anybody writes, and little enough to be read at once. */
const MAX_BYTES = 4 * 1024 * 1024;
const PIPE_WAIT_MS = 5000;
const LOOK_AGAIN_MS = 10;

/**
 * A text from a file, or from a pipe such as `<(command)`; nothing of it can keep a start waiting for ever. What it throws
 * has a code, as what node:fs throws.
 */
export function readText(path: string, waitMs = PIPE_WAIT_MS): string {
  const reading = readInSteps(path, waitMs);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_AGAIN_MS);
  }
}

/** The same, and others are served while it waits for a pipe. */
async function readTextAside(path: string): Promise<string> {
  const reading = readInSteps(path, PIPE_WAIT_MS);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
    await setTimeout(LOOK_AGAIN_MS);
  }
}

/**
 * What `read` makes of this machine, without keeping anything waiting that runs beside it. It is called until it has asked for
 * no file any more that has not been read; what it throws counts as well.
 */
export async function readAside<T>(machine: Surroundings, read: (surroundings: Surroundings) => T): Promise<T> {
  const texts = new Map<string, PromiseSettledResult<string>>();
  for (;;) {
    const missing = new Set<string>();
    const readFile = (path: string): string => {
      const text = texts.get(path);
      if (text?.status === 'rejected') throw text.reason;
      if (text === undefined) missing.add(path);
      return text?.value ?? '';
    };
    try {
      const result = read({ ...machine, readFile });
      if (missing.size === 0) return result;
    } catch (error) {
      if (missing.size === 0) throw error;
    }
    const reading = Array.from(missing, async (path) => {
      const [text] = await Promise.allSettled([readTextAside(path)]);
      texts.set(path, text);
    });
    // oxlint-disable-next-line no-await-in-loop -- a file may name others
    await Promise.all(reading);
  }
}

/** Yields where there is nothing to read at the moment. */
function* readInSteps(path: string, waitMs: number): Generator<undefined, string> {
  // Else opening a pipe that nobody writes to would wait for somebody.
  // oxlint-disable-next-line no-bitwise -- as node:fs has it
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (stats.isDirectory()) throw coded('EISDIR');
    if (!stats.isFile() && !stats.isFIFO()) throw coded('NO_FILE');
    const bytes = yield* readAll(file, stats.isFIFO() ? waitMs : 0);
    if (!isUtf8(bytes) || bytes.includes(0)) throw coded('NOT_UTF8');
    return bytes.toString('utf8');
  } finally {
    closeSync(file);
  }
}

function* readAll(file: number, waitMs: number): Generator<undefined, Buffer> {
  const until = performance.now() + waitMs;
  const pieces: Buffer[] = [];
  let length = 0;
  while (length <= MAX_BYTES) {
    const piece = readPiece(file);
    if (piece !== null && piece.length > 0) {
      pieces.push(piece);
      length += piece.length;
    } else if (piece !== null && (waitMs === 0 || length > 0)) {
      return Buffer.concat(pieces);
    } else if (performance.now() >= until) {
      throw coded('SILENT');
    } else {
      yield;
    }
  }
  throw coded('TOO_LARGE');
}

/** Null: a pipe has nothing to read at the moment. */
function readPiece(file: number): Buffer | null {
  const piece = Buffer.alloc(64 * 1024);
  try {
    return piece.subarray(0, readSync(file, piece));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return null;
    throw error;
  }
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code });
}
