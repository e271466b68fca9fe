// What is wrong with an address that cannot be bound, and whether another one helps.

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use',
  EADDRNOTAVAIL: 'is not one of this machine’s',
  EACCES: 'needs a privilege that this process does not have',
  EAFNOSUPPORT: 'is of a kind that this machine does not have',
  EAI_AGAIN: 'has a host that does not resolve now',
  ENOTFOUND: 'has a host that does not resolve',
};

export interface BindFailure {
  readonly why: string;
  readonly remedy: string;
}

/** `code`: of the system. */
export function bindFailure(flag: 'listen' | 'admin' | 'peers', code: string): BindFailure {
  const another =
    flag === 'peers' ? 'choose another in peers.host and peers.port' : `choose another with --${flag} HOST:PORT`;
  const remedy = code === 'EACCES' ? 'choose a port from 1024 on' : another;
  return { why: WHY[code] ?? `cannot be bound (${code})`, remedy };
}
