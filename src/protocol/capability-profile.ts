// The closed set of capabilities that we declare upstream, worked out from what a client declared. It is part of the
// key of a link: a server may offer other tools to clients that declare other things. Unknown members are not part of
// it, so that no client can make us open links by inventing capabilities.

import type { ServedRevision, UpstreamRevision } from './eras.ts';
import { encode, joined } from './json-rpc.ts';
import { Duplicate, Scanner, type Span } from './json-scanner.ts';
import { removals } from './removal.ts';
import { splice } from './splice.ts';

export const PROFILE_MEMBERS = [
  'roots',
  'sampling',
  'sampling.tools',
  'sampling.context',
  'elicitation.form',
  'elicitation.url',
] as const;
export type ProfileMember = (typeof PROFILE_MEMBERS)[number];

export interface CapabilityProfile {
  /** Canonical text, the same for equal profiles. */
  readonly key: string;
  readonly members: ReadonlySet<ProfileMember>;
}

export const EMPTY_PROFILE: CapabilityProfile = { key: '', members: new Set() };

/** All that the bridge can carry back to a client: what the only link of a mount declares, since its callers differ. */
export const FULL_PROFILE: CapabilityProfile = { key: PROFILE_MEMBERS.join('+'), members: new Set(PROFILE_MEMBERS) };

/** The members that exist in a revision: elicitation came with 2025-06-18, its url mode and tools in sampling later. */
function exists(member: ProfileMember, revision: UpstreamRevision): boolean {
  if (member === 'roots' || member === 'sampling') return true;
  return revision >= (member === 'elicitation.form' ? '2025-06-18' : '2025-11-25');
}

/** What of a profile exists in the revision that an upstream speaks. */
export function profileIn(profile: CapabilityProfile, revision: UpstreamRevision): CapabilityProfile {
  const members = PROFILE_MEMBERS.filter((member) => profile.members.has(member) && exists(member, revision));
  if (members.length === profile.members.size) return profile;
  return members.length === 0 ? EMPTY_PROFILE : { key: members.join('+'), members: new Set(members) };
}

/** What a client of this revision declared. */
export function profileOf(capabilities: unknown, revision: ServedRevision): CapabilityProfile {
  const declared = new Set<ProfileMember>();
  if (!isRecord(capabilities)) return EMPTY_PROFILE;
  const { roots, sampling, elicitation } = own(capabilities);
  if (isRecord(roots)) declared.add('roots');
  if (isRecord(sampling)) {
    declared.add('sampling');
    if (isRecord(own(sampling)['tools'])) declared.add('sampling.tools');
    if (isRecord(own(sampling)['context'])) declared.add('sampling.context');
  }
  if (isRecord(elicitation)) {
    const { form, url } = own(elicitation);
    const knowsModes = exists('elicitation.url', revision);
    // [spec 2025-11-25 elicitation] "For backwards compatibility, an empty capabilities object is equivalent to
    // declaring support for form mode only."
    if (!knowsModes || isRecord(form) || !isRecord(url)) declared.add('elicitation.form');
    if (isRecord(url)) declared.add('elicitation.url');
  }
  const members = new Set(PROFILE_MEMBERS.filter((member) => declared.has(member) && exists(member, revision)));
  return members.size === 0 ? EMPTY_PROFILE : { key: [...members].join('+'), members };
}

/** The `capabilities` of our own initialize: exactly the profile. */
export function declaredCapabilities(profile: CapabilityProfile): Record<string, object> {
  const has = (member: ProfileMember): boolean => profile.members.has(member);
  const capabilities: Record<string, object> = {};
  if (has('roots')) capabilities['roots'] = {};
  if (has('sampling')) {
    capabilities['sampling'] = {
      ...(has('sampling.tools') && { tools: {} }),
      ...(has('sampling.context') && { context: {} }),
    };
  }
  if (has('elicitation.form') || has('elicitation.url')) {
    // Alone, form is said in the way that 2025-06-18 knows too.
    capabilities['elicitation'] = has('elicitation.url')
      ? { ...(has('elicitation.form') && { form: {} }), url: {} }
      : {};
  }
  return capabilities;
}

/**
 * The `capabilities` of a session's own link: the client's bytes, without what its revision does not have and without
 * tasks, which are not bridged. `capabilities` is a whole JSON object.
 */
export function sessionCapabilities(capabilities: Uint8Array, revision: ServedRevision): Uint8Array {
  try {
    readOnce(capabilities);
    let bytes = without(capabilities, [], 'tasks');
    if (!exists('elicitation.form', revision)) bytes = without(bytes, [], 'elicitation');
    else if (!exists('elicitation.url', revision)) bytes = without(bytes, ['elicitation'], 'url');
    if (exists('sampling.tools', revision)) return bytes;
    return without(without(bytes, ['sampling'], 'tools'), ['sampling'], 'context');
  } catch (fault) {
    if (!(fault instanceof Duplicate)) throw fault;
    // Two readers could disagree about what is declared: what we read counts, and nothing else is said.
    const profile = profileOf(JSON.parse(textFrom(capabilities)), revision);
    return encode(JSON.stringify(declaredCapabilities(profile)));
  }
}

const READ: ReadonlySet<string> = new Set(['roots', 'sampling', 'elicitation']);
const READ_INSIDE: ReadonlySet<string> = new Set(['tools', 'context', 'form', 'url']);

/** Throws Duplicate where a member that we read is given twice. */
function readOnce(capabilities: Uint8Array): void {
  const scanner = new Scanner(capabilities, Number.POSITIVE_INFINITY);
  scanner.object(
    1,
    (key) => READ.has(key),
    (_key, depth) =>
      capabilities[scanner.at] === 0x7b ? scanner.object(depth + 1, (key) => READ_INSIDE.has(key), null) : null,
  );
}

/** The object without the member `key` of the object at `path`. Throws Duplicate where the path is not one. */
function without(bytes: Uint8Array, path: readonly string[], key: string): Uint8Array {
  let object: Span = { start: 0, end: bytes.length };
  for (const step of path) {
    const scanner = new Scanner(bytes, Number.POSITIVE_INFINITY);
    scanner.at = object.start;
    const member = scanner.object(1, (name) => name === step, null).members.get(step);
    if (member?.kind !== 'object') return bytes;
    object = member;
  }
  const cuts = removals(bytes, object, key).map(({ start, end }) => ({ start, end, text: NOTHING }));
  return cuts.length === 0 ? bytes : joined(...splice(bytes, cuts));
}

const NOTHING = new Uint8Array(0);

function textFrom(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own members only: a `__proto__` in the text must not lend an object members. */
function own(value: object): Record<string, unknown> {
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}
