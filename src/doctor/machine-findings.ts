// What this machine gives the process, against what the configuration can come to need.

import { type Finding, failed, ok, warning } from './report.ts';

export interface DescriptorFacts {
  /** Null: not known here. */
  readonly limit: number | null;
  /** With everything at its limits. */
  readonly needed: number;
  /** For warm links and a caller of each, no more. */
  readonly least: number;
}

export function descriptorFinding({ limit, needed, least }: DescriptorFacts): Finding {
  const most = `${needed} may be needed`;
  if (limit === null) return ok('descriptors', `${most}; the limit of this system is not known`);
  const seen = `${most}, ${limit === Number.POSITIVE_INFINITY ? 'any number' : limit} may be open`;
  if (limit >= needed) return ok('descriptors', seen);
  const remedy = 'raise the limit (ulimit -n, LimitNOFILE of systemd) or lower links.maxDedicated and limits.inFlight';
  return limit < least ? failed('descriptors', seen, remedy) : warning('descriptors', seen, remedy);
}

export interface MemoryFacts {
  /** Of the container, else of the machine. */
  readonly availableBytes: number;
  readonly isContainer: boolean;
  readonly heapBytes: number;
  /** limits.receivedBytes and limits.bufferedBytes, as they are in effect. */
  readonly receivedBytes: number;
  readonly bufferedBytes: number;
}

/** Code, stacks and sockets. */
const OWN_BYTES = 64 * 1024 ** 2;

export function memoryFinding(facts: MemoryFacts): Finding {
  const { availableBytes, isContainer, heapBytes, receivedBytes, bufferedBytes } = facts;
  const seen =
    `${mebibytes(availableBytes)} of the ${isContainer ? 'container' : 'machine'}; ` +
    `heap ${mebibytes(heapBytes)}, requests ${mebibytes(receivedBytes)}, kept events ${mebibytes(bufferedBytes)} at most`;
  // Requests and events are kept outside of the heap.
  const held = receivedBytes + bufferedBytes;
  if (held > availableBytes) {
    const remedy = 'lower limits.receivedBytes and limits.bufferedBytes: it would be killed before it meets them';
    return failed('memory', seen, remedy);
  }
  if (held + heapBytes + OWN_BYTES <= availableBytes) return ok('memory', seen);
  const remedy =
    'together more than there is: lower the heap (NODE_OPTIONS=--max-old-space-size=MIB), limits.receivedBytes or limits.bufferedBytes, or give it more';
  return warning('memory', seen, remedy);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** `files`: all secrets and keys that come from files; `open`: those that every user of the machine may read. */
export function secretFileFindings(files: readonly string[], open: readonly string[]): Finding[] {
  if (open.length > 0) {
    const remedy = 'take the right from them (chmod 600; in Kubernetes defaultMode: 0400)';
    return open.map((subject) =>
      warning('secret files', 'every user of this machine may read it', remedy, { subject }),
    );
  }
  if (files.length === 0) return [];
  return [ok('secret files', `${files.length === 1 ? 'one, which' : `${files.length}, which`} not everybody may read`)];
}
