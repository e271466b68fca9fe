import { expect, test } from 'vitest';
import {
  LATEST_REVISION,
  SERVED_REVISIONS,
  UPSTREAM_REVISIONS,
  isServed,
  isUpstreamRevision,
  negotiate,
  wantsVersionHeader,
} from '../../src/protocol/eras.ts';

test.each(SERVED_REVISIONS)('a client that asks for %s gets it', (revision) => {
  expect(negotiate(revision)).toBe(revision);
});

test.each(['2024-11-05', '2026-07-28', '', '2025-06-19', '2025-06-18 ', 'latest', '__proto__'])(
  'a client that asks for %j gets the latest that is served',
  (revision) => {
    expect(negotiate(revision)).toBe(LATEST_REVISION);
    expect(isServed(revision)).toBe(false);
  },
);

test('the latest is the newest that is served', () => {
  expect(SERVED_REVISIONS.toSorted().at(-1)).toBe(LATEST_REVISION);
});

test('an upstream may speak what clients may, and the revision of its own transport', () => {
  expect([...UPSTREAM_REVISIONS].toSorted()).toEqual(['2024-11-05', ...SERVED_REVISIONS.toSorted()]);
  for (const known of UPSTREAM_REVISIONS) expect(isUpstreamRevision(known)).toBe(true);
  for (const other of ['2026-07-28', '', null, undefined, 20250618, ['2025-06-18']]) {
    expect(isUpstreamRevision(other)).toBe(false);
  }
});

test('the version header exists from 2025-06-18 on', () => {
  expect(UPSTREAM_REVISIONS.filter(wantsVersionHeader)).toEqual(['2025-11-25', '2025-06-18']);
});
