// The revisions that meet at the gateway, and what works between them: the rows and columns of a table in
// docs/compatibility.md.

export const CLIENT_REVISIONS = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const;
export const UPSTREAM_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;

export interface Pair {
  readonly client: (typeof CLIENT_REVISIONS)[number];
  readonly upstream: (typeof UPSTREAM_REVISIONS)[number];
}

export const PAIRS: readonly Pair[] = CLIENT_REVISIONS.flatMap((client) =>
  UPSTREAM_REVISIONS.map((upstream) => ({ client, upstream })),
);

/** The title of the tests of a pair. */
export function titleOf({ client, upstream }: Pair): string {
  return `client ${client}, server ${upstream}`;
}
