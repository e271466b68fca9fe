// Whether the peers from npm are here: they have a lock file of their own in test/peers, and are optional.
import { peerVersion } from '../../test/peers/support/packages.ts';

/** Why one of them cannot be used, and what to do about it; nothing when all can. */
export function notInstalled(...names: readonly string[]): string | undefined {
  try {
    for (const name of names) peerVersion(name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
