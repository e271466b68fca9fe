// doctor in this process, on a configuration of a test; what it found.

import type { ConfigInput } from '../../src/config/schema.ts';
import type { Check, Finding, Report } from '../../src/doctor/report.ts';
import { doctor } from '../../src/verbs/doctor.ts';
import { THIS_MACHINE } from '../../src/verbs/surroundings.ts';
import { file } from '../verbs/program.ts';

export interface Found extends Report {
  /** One line for each finding of a check: `failed a: seen: remedy`. */
  readonly of: (check: Check) => string[];
}

/** Listens nowhere that could be taken, unless it is said. */
export async function examined(config: ConfigInput, timeoutMs = 5000): Promise<Found> {
  const path = file(JSON.stringify({ listen: { port: 0 }, ...config }));
  let out = '';
  const stdout = { write: (text: string) => (out += text) };
  const machine = { ...THIS_MACHINE, env: {}, stdout };
  await doctor({ file: path }, { json: true, timeoutMs }, machine);
  // As its schema says: another test holds it to that.
  const report = JSON.parse(out) as Report;
  return {
    ...report,
    of: (check) => report.findings.filter((finding) => finding.check === check).map(lineOf),
  };
}

function lineOf({ status, subject, seen, remedy }: Finding): string {
  const parts = [`${status}${subject === null ? '' : ` ${subject}`}`, seen, ...(remedy === null ? [] : [remedy])];
  return parts.join(': ');
}
