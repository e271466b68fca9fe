// What doctor says: one schema, from which the JSON and its published description come, and the lines for people. Whatever
// a finding repeats of other people's words is made harmless here, in one place.

import { z } from 'zod';
import { printable } from '../config/printable.ts';
import { redactedUrlsIn } from '../config/redacted-url.ts';

/** What is looked at, in the order in which it is told. */
export const CHECKS = {
  descriptors: 'the limit of open files against what the configuration can come to hold open',
  memory: 'the memory of the container or the machine against heap and limits',
  address: 'whether `listen`, `admin` and `peers` can be bound, or who has the address',
  exposure: 'who can reach what: whatever `serve` warns of at its start, and secrets that cross a network in the clear',
  secrets: 'what tokens are sealed with, and whether `previous` is still there',
  'secret files': 'who may read the files of secrets and keys',
  dns: 'every name that is dialled: how many addresses it has, and how long that took',
  certificate: 'certificates of listeners, servers and issuers: expiry, name, authority',
  audience: 'for what tokens must be, and what clients ask for',
  issuer: 'the metadata of the issuer, as clients look for them',
  keys: 'the public keys of the issuer, and how many of them can be used',
  metadata: 'the document that tells clients who issues tokens (RFC 9728), as they get it',
  peers: 'the other replicas: whether each is one, and what one seals opens at the other',
  store: 'the store: whether it can be used, whose keys are in it, and which of its settings could lose some',
  clock: 'our clock against those of replicas, and against the Date headers of issuers and servers',
  upstream: 'every server, opened as the gateway would',
} as const;
export type Check = keyof typeof CHECKS;

const NAMES = Object.keys(CHECKS) as [Check, ...Check[]];

const findingSchema = z.strictObject({
  check: z.enum(NAMES).meta({ description: 'what was looked at' }),
  subject: z
    .string()
    .nullable()
    .meta({ description: 'which of several: a section, an upstream, a host; null: there is one' }),
  status: z
    .enum(['ok', 'warning', 'failed'])
    .meta({ description: 'failed: it would not work; warning: it works, and should not stay so' }),
  seen: z.string().meta({ description: 'what was seen' }),
  remedy: z.string().nullable().meta({ description: 'what to do; null: nothing' }),
  ms: z.int().min(0).nullable().meta({ description: 'how long it took; null: it was no question of time' }),
});

const faultSchema = z.strictObject({
  key: z.string().meta({ description: 'the key of the configuration; empty where it is about none' }),
  message: z.string(),
  suggestion: z.string().optional().meta({ description: 'what was probably meant' }),
  file: z.string().optional(),
  line: z.int().optional(),
  column: z.int().optional(),
  frame: z.string().optional().meta({ description: 'the line, with what is meant below it' }),
  name: z.string().optional().meta({ description: 'the variable or flag that the value came from' }),
});

export const reportSchema = z
  .strictObject({
    version: z.string().meta({ description: 'of mcp-causeway' }),
    result: z.enum(['ok', 'warnings', 'failed', 'invalid']).meta({
      description: 'the worst of all findings; invalid: the configuration would not start, and nothing was looked at',
    }),
    findings: z.array(findingSchema),
    errors: z.array(faultSchema).meta({ description: 'what is wrong with the configuration' }),
  })
  .meta({ title: 'mcp-causeway doctor --json', description: 'Printed from src/doctor/report.ts by `npm run docs`.' });

export type Finding = Readonly<z.output<typeof findingSchema>>;
export type Report = Readonly<z.output<typeof reportSchema>>;
export type Status = Finding['status'];

/** Which of several, and how long it took. */
export interface About {
  readonly subject?: string;
  readonly ms?: number;
}

export function ok(check: Check, seen: string, about: About = {}): Finding {
  return finding(check, 'ok', seen, null, about);
}

export function warning(check: Check, seen: string, remedy: string, about: About = {}): Finding {
  return finding(check, 'warning', seen, remedy, about);
}

export function failed(check: Check, seen: string, remedy: string, about: About = {}): Finding {
  return finding(check, 'failed', seen, remedy, about);
}

function finding(check: Check, status: Status, seen: string, remedy: string | null, { subject, ms }: About): Finding {
  return { check, subject: subject ?? null, status, seen, remedy, ms: ms === undefined ? null : Math.round(ms) };
}

/** The worst of them. */
export function resultOf(findings: readonly Finding[]): Exclude<Report['result'], 'invalid'> {
  if (findings.some(({ status }) => status === 'failed')) return 'failed';
  return findings.some(({ status }) => status === 'warning') ? 'warnings' : 'ok';
}

/** In the order of the checks; those of one check in theirs. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((left, right) => NAMES.indexOf(left.check) - NAMES.indexOf(right.check));
}

/** Nobody reads more of one. */
const MAX_CHARS = 500;

/** As it may be shown: names and words of servers are whatever somebody chose. */
export function harmless(finding: Finding): Finding {
  const safe = (text: string): string => {
    const shown = printable(redactedUrlsIn(text));
    return shown.length > MAX_CHARS ? `${shown.slice(0, MAX_CHARS)}…` : shown;
  };
  const { subject, seen, remedy } = finding;
  return {
    ...finding,
    subject: subject === null ? null : safe(subject),
    seen: safe(seen),
    remedy: remedy === null ? null : safe(remedy),
  };
}

/** One line for each finding, and one that counts them. */
export function reportText(findings: readonly Finding[]): string {
  const count = (wanted: Status): number => findings.filter(({ status }) => status === wanted).length;
  const [fine, warnings, failures] = [count('ok'), count('warning'), count('failed')];
  const total = `${fine} ok, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}, ${failures} failed`;
  return `${findings.map(lineOf).join('\n')}\n\n${total}\n`;
}

function lineOf({ status, check, subject, seen, remedy }: Finding): string {
  const what = subject === null ? check : `${check} ${subject}`;
  return `${status.padEnd(7)}  ${what}: ${seen}${remedy === null ? '' : `: ${remedy}`}`;
}
