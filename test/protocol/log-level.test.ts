import { expect, test } from 'vitest';
import { LOG_LEVELS, type LogLevel, isLogLevel, mostVerbose, passes } from '../../src/protocol/log-level.ts';

test.each(LOG_LEVELS)('%s is a level', (level) => {
  expect(isLogLevel(level)).toBe(true);
});

test.each([['Debug'], ['warn'], ['fatal'], [''], ['toString'], [0], [null], [undefined], [['info']], [{}]])(
  '%j is no level',
  (value) => {
    expect(isLogLevel(value)).toBe(false);
  },
);

test.each<[least: LogLevel, passing: string]>([
  ['debug', 'debug info notice warning error critical alert emergency'],
  ['info', 'info notice warning error critical alert emergency'],
  ['notice', 'notice warning error critical alert emergency'],
  ['warning', 'warning error critical alert emergency'],
  ['error', 'error critical alert emergency'],
  ['critical', 'critical alert emergency'],
  ['alert', 'alert emergency'],
  ['emergency', 'emergency'],
])('where %s was asked for, this passes: %s', (least, passing) => {
  expect(LOG_LEVELS.filter((level) => passes(level, least)).join(' ')).toBe(passing);
});

test.each<[levels: readonly LogLevel[], most: LogLevel | null]>([
  [[], null],
  [['error'], 'error'],
  [['error', 'info', 'alert'], 'info'],
  [['emergency', 'alert'], 'alert'],
  [['notice', 'notice'], 'notice'],
  [LOG_LEVELS, 'debug'],
  [LOG_LEVELS.toReversed(), 'debug'],
])('of %j the most verbose is %s', (levels, most) => {
  expect(mostVerbose(new Set(levels))).toBe(most);
});

test('whoever is on a connection gets from the most verbose level all that was asked for', () => {
  for (const one of LOG_LEVELS) {
    for (const other of LOG_LEVELS) {
      const most = mostVerbose([one, other]);
      const wanted = LOG_LEVELS.filter((level) => passes(level, one) || passes(level, other));

      expect(most !== null && LOG_LEVELS.filter((level) => passes(level, most))).toEqual(wanted);
    }
  }
});
