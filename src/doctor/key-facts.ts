// The keys of an issuer, from the answer of its server or from a file, read as the gateway reads them.

import { keySetIn, parsedKeySet } from '../identity/key-set.ts';
import type { Fetched, KeysRead } from './oauth-findings.ts';

/** `answer`: null where they come from the file. */
export function issuerKeys(answer: Fetched | null, file: string | undefined): KeysRead {
  if (answer === null) return { keySet: keySetIn(file ?? '') };
  if (answer.state === 'late') return { why: 'no answer in time' };
  if (answer.state === 'failed') return { why: `cannot be read: ${answer.why}` };
  if (answer.status !== 200) return { why: `the answer was ${answer.status}` };
  try {
    return { keySet: parsedKeySet(Buffer.from(answer.text)) };
  } catch (cause) {
    return { why: `the answer ${cause instanceof Error ? cause.message : 'cannot be used'}` };
  }
}
