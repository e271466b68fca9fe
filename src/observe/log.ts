// The process's log: JSON lines, or pretty on a terminal. Always to stderr: stdout carries results only.

import { type Logger, pino } from 'pino';
import { withoutSecrets } from '../config/credentials.ts';
import { printable } from '../config/printable.ts';
import type { Config } from '../config/schema.ts';
import { LogOutput } from './log-output.ts';

/** Of every line, whoever logs it. */
export const FORMATTERS = {
  // An object gives an object.
  log: (fields: object) => withoutSecrets(fields) as Record<string, unknown>,
};

export interface Log {
  readonly lines: Logger;
  /** Text for a person, between the lines. */
  write(text: string): void;
  close(): Promise<void>;
}

export async function createLog(
  config: Config['log'],
  stderr: { readonly isTTY?: boolean; readonly fd: number } = process.stderr,
): Promise<Log> {
  const isPretty = config.format === 'pretty' || (config.format === 'auto' && stderr.isTTY === true);
  const options = { level: config.level, formatters: FORMATTERS, base: null };
  const output: LogOutput = new LogOutput(stderr.fd, (lost) =>
    lines.warn({ lines: lost }, 'log lines lost: they were not read in time, or could not be written'),
  );
  const lines = isPretty
    ? pino(options, prettified(output, await prettifier()))
    : pino({ ...options, timestamp: timeField() }, output);
  return { lines, write: (text) => output.write(text), close: () => output.close() };
}

/** The `time` of a line, in RFC 3339. Ten lines of one millisecond are no rarity. */
function timeField(): () => string {
  let at = 0;
  let field = '';
  return () => {
    const now = Date.now();
    if (now !== at) {
      at = now;
      field = `,"time":"${new Date(now).toISOString()}"`;
    }
    return field;
  };
}

async function prettifier(): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  // It writes `name` before the message as it is: of a line of ours that is the tool, in whatever words a client has for it.
  const customPrettifiers = { name: (name: unknown) => JSON.stringify(name) };
  return prettyFactory({ ignore: 'pid,hostname', singleLine: true, customPrettifiers });
}

/** Not the stream of pino-pretty, in which lines would wait without a bound. */
function prettified(output: LogOutput, pretty: (line: string) => string): { write(line: string): void } {
  // What servers and clients call themselves is theirs; of control characters JSON escapes some only.
  return { write: (line) => output.write(pretty(`${printable(line.trimEnd())}\n`)) };
}
