// The closed set of capabilities that we declare upstream, worked out from what a client declared. It is part of the
// key of a link: a server may offer other tools to clients that declare other things. Unknown members are not part of
// it, so that no client can make us open links by inventing capabilities.

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

/** What the bridge can carry back to a client today. Declaring more would make a server wait for answers in vain. */
export const CARRIED: ReadonlySet<ProfileMember> = new Set();

export function profileOf(capabilities: unknown, carried: ReadonlySet<ProfileMember> = CARRIED): CapabilityProfile {
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
    // [spec 2025-11-25 elicitation] "For backwards compatibility, an empty capabilities object is equivalent to
    // declaring support for form mode only."
    if (isRecord(form) || !isRecord(url)) declared.add('elicitation.form');
    if (isRecord(url)) declared.add('elicitation.url');
  }
  const members = new Set(PROFILE_MEMBERS.filter((member) => declared.has(member) && carried.has(member)));
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

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own members only: a `__proto__` in the text must not lend an object members. */
function own(value: object): Record<string, unknown> {
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}
