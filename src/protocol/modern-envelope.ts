// What a request of 2026-07-28 says about itself in `params._meta`: it stands alone, so all of it is there every time.

import { type CapabilityProfile, EMPTY_PROFILE, profileOf } from './capability-profile.ts';
import { LATEST_REVISION, MODERN_META } from './eras.ts';
import { type Request, bytesOf, textIn, textOf } from './json-rpc.ts';
import { type LogLevel, isLogLevel } from './log-level.ts';

export interface Envelope {
  /** What the client can be asked, as far as it can be carried. */
  readonly profile: CapabilityProfile;
  /** `undefined`: something that is no level. */
  readonly logLevel: LogLevel | null | undefined;
  /** The client's own bytes. */
  readonly progressToken: Uint8Array | null;
}

const MAX_CAPABILITIES_BYTES = 65_536;

/** What is wrong with the part of the envelope that must be there; null where nothing is. */
export function envelopeFault({ meta }: Request): string | null {
  // [spec 2026-07-28 basic] of the version and of the capabilities: "Required".
  for (const [key, kind] of [
    [MODERN_META.version, 'string'],
    [MODERN_META.capabilities, 'object'],
  ] as const) {
    const member = meta?.members.get(key);
    if (member?.kind !== kind) return `params._meta must have ${key}, a JSON ${kind}`;
    if (member.end - member.start > MAX_CAPABILITIES_BYTES) {
      return `params._meta[${key}] is larger than ${MAX_CAPABILITIES_BYTES} bytes`;
    }
  }
  return null;
}

/** Clients declare with every call what they always declare. */
function declaredProfile(capabilities: string): CapabilityProfile {
  const known = profiles.get(capabilities);
  if (known !== undefined) return known;
  const profile = profileOf(JSON.parse(capabilities), LATEST_REVISION);
  if (capabilities.length > MAX_PROFILE_CHARS) return profile;
  // The oldest makes room: whoever declares something else each time must not fill it for good.
  const [oldest] = profiles.keys();
  if (profiles.size >= MAX_PROFILES && oldest !== undefined) profiles.delete(oldest);
  profiles.set(capabilities, profile);
  return profile;
}

const profiles = new Map<string, CapabilityProfile>();
const MAX_PROFILES = 64;
const MAX_PROFILE_CHARS = 512;

/** Of a request whose envelope has no fault. */
export function readEnvelope({ bytes, meta }: Request): Envelope {
  const capabilities = meta?.members.get(MODERN_META.capabilities);
  const level = meta?.members.get(MODERN_META.logLevel);
  const token = meta?.members.get('progressToken');
  const named = level?.kind === 'string' ? textOf(bytes, level) : undefined;
  return {
    profile: capabilities === undefined ? EMPTY_PROFILE : declaredProfile(textIn(bytes, capabilities)),
    logLevel: level === undefined ? null : isLogLevel(named) ? named : undefined,
    // A copy: a held call would otherwise keep the whole request alive.
    progressToken: token === undefined ? null : new Uint8Array(bytesOf(bytes, token)),
  };
}
