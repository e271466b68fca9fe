// What an error of the client library, or an answer of the store, says about the store.

import { StoreFault, type StoreFaultKind } from '../domain/store-faults.ts';

/** By how the text of an answer begins, or what it contains: Redis says it so, and Valkey the same. */
const ANSWERS: readonly (readonly [RegExp, StoreFaultKind])[] = [
  [/^(?:-?ERR Error running script.*)?\bOOM\b/s, 'full'],
  [/^(?:READONLY|MISCONF|NOREPLICAS)\b/, 'read_only'],
  [/^(?:NOPERM|NOAUTH|WRONGPASS)\b|invalid password|ACL failure|does not have permission|no permissions/i, 'denied'],
  [/^(?:LOADING|MASTERDOWN|BUSY|TRYAGAIN|CLUSTERDOWN)\b/, 'loading'],
  [/^Command timed out/, 'slow'],
];

const UNTRUSTED = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** `earlier`: why the connection is not there, where that is what it died of. */
export function storeFault(thrown: unknown, earlier: unknown = null): StoreFault {
  if (thrown instanceof StoreFault) return thrown;
  if (!(thrown instanceof Error)) return new StoreFault('error', thrown);
  if (thrown.name === 'ReplyError') return new StoreFault(kindOfAnswer(thrown.message) ?? 'error', thrown);
  const kind = kindOfAnswer(thrown.message);
  if (kind !== null) return new StoreFault(kind, thrown);
  const cause = earlier instanceof Error ? earlier : thrown;
  const code = 'code' in cause ? String(cause.code) : '';
  if (UNTRUSTED.test(code)) return new StoreFault('untrusted', cause);
  return new StoreFault(kindOfAnswer(cause.message) ?? 'unreachable', cause);
}

function kindOfAnswer(message: string): StoreFaultKind | null {
  return ANSWERS.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}
