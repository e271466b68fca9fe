// The process's log: JSON lines, or pretty on a terminal. Always to stderr: stdout carries results only.

import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/schema.ts';

/** Never shown, wherever they stand in a logged object. */
export const REDACTED = ['headers', '*.headers', 'authorization', '*.authorization', 'cookie', '*.cookie'];

export function createLog(config: Config['log'], stderr: NodeJS.WriteStream = process.stderr): Logger {
  const isPretty = config.format === 'pretty' || (config.format === 'auto' && stderr.isTTY);
  const options = { level: config.level, redact: REDACTED, base: null };
  return isPretty
    ? pino(options, pretty({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true }))
    : pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: false }));
}
