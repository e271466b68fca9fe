// Whether the figures may be reported at all, and with which exit code the run ends.
import { noiseLine, noiseOf } from './noise.ts';
import { nameOf } from './report.ts';
import type { Outcome, Row } from './outcome.ts';
import type { PeerName } from './peers.ts';
import { TARGETS, judge, type Judged, type Target, type Verdict } from './targets.ts';

/** Known to put notifications on streams of other calls; that is shown, and is their fault and not the bench's. */
const STRANGERS: readonly PeerName[] = ['naive', 'mcp-proxy', 'supergateway'];

/** Rows whose figures mean nothing, for something in them was not what was asked for. */
export function wrongRows({ rows }: Outcome): string[] {
  return rows.flatMap((row) => {
    const wrong = sum(row, 'wrong');
    const misrouted = STRANGERS.includes(row.peer) ? 0 : sum(row, 'misrouted');
    return wrong + misrouted === 0 ? [] : [`${nameOf(row)}: ${wrong} wrong answers, ${misrouted} misrouted messages`];
  });
}

function sum({ rounds }: Row, metric: 'wrong' | 'misrouted'): number {
  return rounds.reduce((total, round) => total + round[metric], 0);
}

export interface Conclusion {
  readonly exitCode: 0 | 1 | 2;
  /** What may be reported: nothing, if an answer was wrong anywhere. */
  readonly reportable: readonly Outcome[];
  readonly judged: readonly Judged[];
  readonly lines: readonly string[];
}

export interface Wishes {
  /** Whether the targets decide about the exit code. */
  readonly check: boolean;
  /** Figures of a machine that was too noisy are reported all the same; they are never a pass. */
  readonly acceptNoise: boolean;
}

export function conclude(
  outcomes: readonly Outcome[],
  { check, acceptNoise }: Wishes,
  targets: readonly Target[] = TARGETS,
): Conclusion {
  const wrong = outcomes.flatMap((outcome) => wrongRows(outcome).map((row) => `${outcome.scenario}, ${row}`));
  if (wrong.length > 0) {
    return { exitCode: 1, reportable: [], judged: [], lines: ['No report, answers were wrong:', ...wrong] };
  }
  const noisy = outcomes.filter((outcome) => noiseOf(outcome).isTooNoisy);
  const reportable = acceptNoise ? outcomes : outcomes.filter((outcome) => !noisy.includes(outcome));
  const judged = targets.map((target) => judge(target, outcomes, reportable));
  const count = (verdict: Verdict): number => judged.filter((each) => each.verdict === verdict).length;
  const missed = count('MISSED');
  const reached = count('goal') + count('must');
  const lines = [
    `${reached} targets reached (${count('goal')} of them with their goal), ${missed} missed, ${count('too noisy')} too noisy to tell, ${count('not measured')} not measured`,
  ];
  if (noisy.length > 0)
    lines.push('The machine was too noisy to tell:', ...noisy.map((each) => noiseLine(noiseOf(each))));
  return { exitCode: exitCodeOf(check, missed, reached, noisy.length, acceptNoise), reportable, judged, lines };
}

function exitCodeOf(
  check: boolean,
  missed: number,
  reached: number,
  noisy: number,
  acceptNoise: boolean,
): Conclusion['exitCode'] {
  if (!check) return noisy > 0 && !acceptNoise ? 1 : 0;
  if (noisy > 0) return missed > 0 && !acceptNoise ? 1 : 2;
  // Nothing that was measured is no pass either.
  return missed > 0 || reached === 0 ? 1 : 0;
}
