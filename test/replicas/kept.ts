// Where the store keeps what of a session, by the default prefix.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { RedisServer } from '../support/redis.ts';

export interface Places {
  readonly lease: string;
  readonly session: string;
  readonly events: string;
}

export async function placesOf(session: string, { admin }: RedisServer): Promise<Places> {
  const name = createHash('sha256').update(session).digest().subarray(0, 16).toString('base64url');
  const [lease = expect.fail('it is not kept')] = await admin.keys(`causeway:v1:{*.${name}}:lease`);
  const of = lease.slice(0, -'lease'.length);
  return { lease, session: `${of}session`, events: `${of}events` };
}
