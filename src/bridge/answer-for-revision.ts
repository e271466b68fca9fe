// What an answer must not hold for a client of an older revision than the upstream's.

import { encode } from '../protocol/json-rpc.ts';
import type { Answer } from '../protocol/json-rpc.ts';
import type { ServedRevision } from '../protocol/eras.ts';
import { knowsResourceLinks, withoutResourceLinks } from '../protocol/older-content.ts';
import type { AnswerChanges } from './call.ts';

const INTERNAL = encode('-32603');

/** `method`: of the request that is answered. Undefined: nothing has to change. */
export function forRevision(answer: Answer, method: string, revision: ServedRevision): AnswerChanges | undefined {
  if (answer.kind === 'error') return revision < '2025-11-25' ? { changes: { newerErrorCode: INTERNAL } } : undefined;
  if (knowsResourceLinks(revision)) return undefined;
  const edits = withoutResourceLinks(answer, method);
  return edits.length === 0 ? undefined : { edits };
}
