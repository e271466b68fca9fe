// The severities of log messages, and which of them pass where a least one was asked for.

/**
 * From the most verbose to the gravest.
 * [spec 2025-03-26 logging] "The protocol follows the standard syslog severity levels specified in RFC 5424". There the
 * numbers run the other way: 0 is emergency, 7 is debug.
 */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(value: unknown): value is LogLevel {
  return LOG_LEVELS.some((level) => level === value);
}

/** The level to ask for where several are wanted on one connection; null when there is none. */
export function mostVerbose(levels: Iterable<LogLevel>): LogLevel | null {
  let most: LogLevel | null = null;
  for (const level of levels) if (most === null || passes(most, level)) most = level;
  return most;
}

/**
 * Whether a message of this severity is for somebody who asked for `least`.
 * [spec 2025-03-26 logging] at level error, a server "Only sends error level and above".
 */
export function passes(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}
