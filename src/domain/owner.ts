// Whose something is, as the tokens name it: which life of a process, and where the other replicas reach that one.

export interface Owner {
  /** Random, of one life of a process: whoever comes after it at the same address has nothing of what it held. */
  readonly incarnation: string;
  /** HOST:PORT; null: it has no other replicas. */
  readonly address: string | null;
}

export function ownerText({ incarnation, address }: Owner): string {
  return address === null ? incarnation : `${incarnation}@${address}`;
}

export function readOwner(text: string): Owner {
  const at = text.indexOf('@');
  return at === -1
    ? { incarnation: text, address: null }
    : { incarnation: text.slice(0, at), address: text.slice(at + 1) };
}
