// Our clock against those of others, by the Date headers of their answers.

import { type Finding, failed, ok, warning } from './report.ts';

export interface Reading {
  /** A host. */
  readonly from: string;
  /** Of an issuer of tokens, whose times are compared with ours. */
  readonly toleranceMs: number | null;
  /** How far it is ahead of us; a header says whole seconds. */
  readonly aheadMs: number;
}

/** Everybody can be so much off, and answers on their way too. */
const MOST_MS = 60_000;
/** What a header does not say, and what the way takes. */
const VAGUE_MS = 2000;

export function clockFindings(readings: readonly Reading[]): Finding[] {
  const [near, far] = [readings.filter(isNear), readings.filter((reading) => !isNear(reading))];
  if (far.length > 0) {
    // Where nobody agrees with us it is ours that is wrong.
    const whose = near.length === 0 && far.length > 1 ? 'of this machine' : 'of this machine, and that of the other';
    return far.map((reading) => farFinding(reading, `set the clock ${whose} (chrony, systemd-timesyncd)`));
  }
  const [first] = near;
  if (first === undefined) return [];
  const most = Math.max(...near.map(({ aheadMs }) => Math.abs(aheadMs)));
  const whom = near.length === 1 ? first.from : `${near.length} others`;
  return [ok('clock', `within ${Math.max(1, Math.ceil(most / 1000))} s of ${whom}`)];
}

function isNear({ aheadMs, toleranceMs }: Reading): boolean {
  return Math.abs(aheadMs) <= Math.min(MOST_MS, toleranceMs === null ? MOST_MS : toleranceMs + VAGUE_MS);
}

function farFinding({ from: subject, toleranceMs, aheadMs }: Reading, remedy: string): Finding {
  const seen = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (toleranceMs === null) return warning('clock', seen, remedy, { subject });
  return failed('clock', `${seen}: its tokens may be refused as expired or not valid yet`, remedy, { subject });
}
