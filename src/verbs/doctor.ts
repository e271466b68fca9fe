// `mcp-causeway doctor -c FILE`: whether what a configuration describes would work here, and what to do where it would not.

import { ConfigError, type Given, readConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { shownPath } from '../config/substitution.ts';
import { examine } from '../doctor/examination.ts';
import { type Finding, type Report, harmless, inOrder, reportText, resultOf } from '../doctor/report.ts';
import { ERRORS, type ProxyError } from '../domain/errors.ts';
import { readCertificates } from '../edge/certificate.ts';
import { diagnosis } from '../probe/diagnosis.ts';
import { systemClock, systemTimers } from '../real-time.ts';
import { flat } from './check.ts';
import { descriptorLimit, descriptorsLeast, descriptorsNeeded } from './descriptors.ts';
import { openFiles, refuseUnsafe, warningsOf } from './exposure.ts';
import type { Machine } from './surroundings.ts';
import { VERSION } from './version.ts';

export interface DoctorOptions {
  readonly json: boolean;
  /** For all that is asked of others. */
  readonly timeoutMs: number;
}

/** What it came to. Rejects with a ConfigError, unless that was told as JSON. */
export async function doctor(
  given: Given,
  { json, timeoutMs }: DoctorOptions,
  machine: Machine,
): Promise<Report['result']> {
  const tell = (report: Omit<Report, 'version'>): Report['result'] => {
    const { result, findings } = report;
    machine.stdout.write(json ? `${JSON.stringify({ version: VERSION, ...report }, null, 2)}\n` : reportText(findings));
    return result;
  };
  try {
    const findings = inOrder(await findingsOf(given, timeoutMs, machine)).map(harmless);
    return tell({ result: resultOf(findings), findings, errors: [] });
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    return tell({ result: 'invalid', findings: [], errors: error.faults.map(flat) });
  }
}

async function findingsOf(given: Given, timeoutMs: number, machine: Machine): Promise<Finding[]> {
  const secrets = new Set<string>();
  const config = readConfig(given, { ...machine, onSecretFile: (path) => secrets.add(path) });
  refuseUnsafe(config);
  const certificates = readCertificates(config);
  const open = [...secrets].filter((path) => machine.isOpenToAll(path));
  return examine({
    config,
    version: VERSION,
    clock: systemClock,
    timers: systemTimers,
    timeoutMs,
    descriptors: {
      limit: descriptorLimit(),
      needed: descriptorsNeeded(config),
      least: descriptorsLeast(config),
    },
    told: warningsOf(config).map(({ about, text, remedy }) => ({
      subject: Object.values(about).join(' '),
      text,
      remedy,
    })),
    secretFiles: [...secrets, ...keyFilesOf(config)],
    openSecretFiles: openFiles(open, certificates).map(shownPath),
    certificates,
    diagnosisOf,
  });
}

function keyFilesOf({ listen, admin }: Config): string[] {
  return [listen.tls, admin?.tls].flatMap((tls) => (tls === undefined ? [] : [tls.key]));
}

/** What the URL says more than the table knows; else what was seen, with the remedy of the table. */
function diagnosisOf(error: ProxyError, url: URL): string {
  const { remedy } = ERRORS[error.code];
  const said = diagnosis(error.code, url);
  if (!said.startsWith(remedy)) return said;
  const seen = error.message.includes(': ') ? error.message : `${error.message}: ${remedy}`;
  return seen + said.slice(remedy.length);
}
