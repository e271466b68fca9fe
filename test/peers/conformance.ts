// `npm run conformance`: the official suite against the gateway and, as the reference, against the server behind it. Prints how
// many scenarios pass and what is the matter with the others; fails unless all pass, each with something proved.
import { failuresOf, pollingIn, playRounds, unprovenIn, warningsOf } from './conformance/rounds.ts';
import type { ScenarioOutcome } from './conformance/suite.ts';

// Ended early or not, server and gateway are not left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const rounds = await playRounds();

console.log(row(['revision', 'direct', 'gateway']));
console.log(row(['---', '---', '---']));
for (const { revision, direct, gateway } of rounds) console.log(row([revision, score(direct), score(gateway)]));

for (const { revision, direct, gateway } of rounds) {
  list(`failed directly, ${revision}`, failuresOf(direct));
  list(`failed through the gateway, ${revision}`, failuresOf(gateway));
  list(`warned of directly, ${revision}`, warningsOf(direct));
  list(`warned of through the gateway, ${revision}`, warningsOf(gateway));
  list(`nothing to check directly, ${revision}`, unprovenIn(direct));
  list(`nothing to check through the gateway, ${revision}`, unprovenIn(gateway));
}

process.exitCode = rounds.every(({ direct, gateway, scenarios }) => [direct, gateway].every(isClean(scenarios)))
  ? 0
  : 1;

function isClean(scenarios: number): (outcomes: readonly ScenarioOutcome[]) => boolean {
  return (outcomes) =>
    outcomes.length === scenarios &&
    failuresOf(outcomes).length === 0 &&
    unprovenIn(outcomes).length === 0 &&
    warningsOf(pollingIn(outcomes)).length === 0;
}

function score(outcomes: readonly ScenarioOutcome[]): string {
  return `${outcomes.filter(({ failures }) => failures.length === 0).length}/${outcomes.length}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.padEnd(10)).join(' | ')} |`;
}

function list(title: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  console.log(`\n${title}:`);
  for (const line of lines) console.log(`- ${line}`);
}
