// The process's log: JSON lines, or pretty on a terminal. Always to stderr: stdout carries results only.

import { type Logger, pino } from 'pino';
import type { Config } from '../config/schema.ts';

/** Never shown, wherever they stand in a logged object. */
export const REDACTED = ['headers', '*.headers', 'authorization', '*.authorization', 'cookie', '*.cookie'];

/** Characters of log that may wait for a reader who does not read: beyond that lines are lost, not memory. */
const MAX_WAITING = 16 * 1024 * 1024;

export async function createLog(config: Config['log'], stderr: NodeJS.WriteStream = process.stderr): Promise<Logger> {
  const isPretty = config.format === 'pretty' || (config.format === 'auto' && stderr.isTTY);
  const options = { level: config.level, redact: REDACTED, base: null };
  if (isPretty) {
    const { default: pretty } = await import('pino-pretty');
    return pino(options, pretty({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true }));
  }
  const destination = pino.destination({ dest: 2, sync: false, maxLength: MAX_WAITING });
  const log = pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  let lost = 0;
  destination.on('drop', () => lost++);
  destination.on('drain', () => {
    if (lost === 0) return;
    log.warn({ lines: lost }, 'log lines lost: whoever reads the log was too slow');
    lost = 0;
  });
  return log;
}
