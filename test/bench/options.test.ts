import { expect, test } from 'vitest';
import { UsageError, readOptions } from '../../bench/options.ts';

const read = (...args: readonly string[]) => readOptions(args, () => undefined);

test('without options everything is measured', () => {
  expect(read()).toMatchObject({ rounds: 5, seconds: 2, idleSessions: 1000, peers: undefined, check: false });
  expect(read().scenarios).toContain('open-loop');
});

test('--quick is less of everything, and what is asked for besides holds', () => {
  expect(read('--quick')).toMatchObject({ rounds: 3, again: false });
  expect(read('--quick', '--rounds', '7', '--peers', 'direct,mcp-proxy')).toMatchObject({
    rounds: 7,
    peers: ['direct', 'mcp-proxy'],
  });
});

test('--quick goes without what is not installed', () => {
  const { peers } = readOptions(['--quick'], (name) => (name === 'nginx' ? 'not here' : undefined));

  expect(peers).not.toContain('nginx');
  expect(peers).toContain('causeway');
});

test('values are read', () => {
  expect(
    read('--scenario=c32,c32,idle', '--seconds', '0.3', '--rate', '2000', '--check', '--json', 'x.json'),
  ).toMatchObject({ scenarios: ['c32', 'idle'], seconds: 0.3, rate: 2000, check: true, json: 'x.json' });
});

test.each([
  [['--scenarios', 'c32'], '--scenarios is not known. Did you mean --scenario?'],
  [['--quik'], '--quik is not known. Did you mean --quick?'],
  [['--scenario', 'progres10'], '"progres10" is not known. Did you mean progress10?'],
  [['--peers', 'direct,causway'], '"causway" is not known. Did you mean causeway?'],
  [['--peers', 'zzzz'], '"zzzz" is not known. The peers: direct,'],
  [['--peers', ''], 'is not known'],
  [['c32'], '"c32" is no option'],
  [['--json'], '--json wants a value'],
  [['--check=yes'], '--check takes no value'],
  [['--rounds', '2.5'], '--rounds 2.5: a whole number'],
  [['--rounds', '0'], '--rounds 0: a number from 1'],
  [['--seconds', 'x'], '--seconds x: a number'],
  [['--seconds', ' '], 'a number from 0.1'],
  [['--chart', '/no/such/folder/x.svg'], 'there is no folder /no/such/folder'],
])('%j is refused', (args, said) => {
  expect(() => read(...args)).toThrow(UsageError);
  expect(() => read(...args)).toThrow(said);
});
