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

/** How each listener is given another address. */
export const ANOTHER = {
  listen: 'with --listen HOST:PORT',
  admin: 'with --admin HOST:PORT',
  peers: 'in peers.host and peers.port',
} as const;
export type Listener = keyof typeof ANOTHER;

/** `code`: of the system. */
export function bindFailure(listener: Listener, code: string): BindFailure {
  const remedy = code === 'EACCES' ? 'choose a port from 1024 on' : `choose another ${ANOTHER[listener]}`;
  return { why: WHY[code] ?? `cannot be bound (${code})`, remedy };
}
