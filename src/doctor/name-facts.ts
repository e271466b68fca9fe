// Names as the gateway resolves them: by the resolver of the system, which knows of more than name servers.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { codeOf } from '../upstream/network-error.ts';
import { orLate } from './bounded.ts';
import type { NameFacts } from './name-findings.ts';

/** What stands in a URL where a name can: an address needs no resolver. */
export function isName(hostname: string): boolean {
  return isIP(hostname.replaceAll(/[[\]]/g, '')) === 0;
}

export function resolved(host: string, signal: AbortSignal): Promise<NameFacts> {
  const startedAt = performance.now();
  const passed = (): number => performance.now() - startedAt;
  const facts = lookup(host, { all: true }).then(
    (found): NameFacts => ({
      state: 'resolved',
      addresses: new Set(found.map(({ address }) => address)).size,
      ms: passed(),
    }),
    (cause: unknown): NameFacts => ({ state: 'unresolved', code: codeOf(cause), ms: passed() }),
  );
  return orLate(facts, { state: 'late' }, signal);
}
