// `npm run conformance`: the official suite against the gateway, against three replicas of it behind nginx and, as the reference,
// against the server behind it. Prints how many scenarios pass and what is the matter with the others; fails unless all pass, each with something proved, but for those
// that are known to prove nothing.
import {
  failuresOf,
  passedIn,
  pollingIn,
  playRounds,
  unprovenIn,
  warningsOf,
  type Round,
} from './conformance/rounds.ts';
import type { ScenarioOutcome } from './conformance/suite.ts';

// Ended early or not, server and gateway are not left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { rounds, taken, hops } = await playRounds();

console.log(row(['revision', 'direct', 'gateway', 'replicas']));
console.log(row(['---', '---', '---', '---']));
for (const { revision, direct, gateway, replicas } of rounds) {
  console.log(row([revision, direct === null ? '–' : score(direct), score(gateway), score(replicas)]));
}
console.log(`\nrequests taken by the replicas: ${taken.join(', ')}; handed to another: ${hops}`);

for (const { revision, direct, gateway, replicas } of rounds) {
  list(`failed directly, ${revision}`, failuresOf(direct ?? []));
  list(`failed through the gateway, ${revision}`, failuresOf(gateway));
  list(`failed through replicas, ${revision}`, failuresOf(replicas));
  list(`warned of directly, ${revision}`, warningsOf(direct ?? []));
  list(`warned of through the gateway, ${revision}`, warningsOf(gateway));
  list(`warned of through replicas, ${revision}`, warningsOf(replicas));
  list(`nothing proved directly, ${revision}`, unprovenIn(direct ?? []));
  list(`nothing proved through the gateway, ${revision}`, unprovenIn(gateway));
  list(`nothing proved through replicas, ${revision}`, unprovenIn(replicas));
}

process.exitCode = rounds.every(isClean) ? 0 : 1;

function isClean({ scenarios, unproven, direct, gateway, replicas }: Round): boolean {
  const runs = [...(direct === null ? [] : [direct]), gateway, replicas];
  return runs.every(
    (outcomes) =>
      outcomes.length === scenarios &&
      failuresOf(outcomes).length === 0 &&
      String(unprovenIn(outcomes)) === String(outcomes === direct ? [] : unproven) &&
      warningsOf(pollingIn(outcomes)).length === 0,
  );
}

function score(outcomes: readonly ScenarioOutcome[]): string {
  return `${passedIn(outcomes)}/${outcomes.length}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.padEnd(10)).join(' | ')} |`;
}

function list(title: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  console.log(`\n${title}:`);
  for (const line of lines) console.log(`- ${line}`);
}
