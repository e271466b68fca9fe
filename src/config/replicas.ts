// What several replicas of one gateway share: where each reaches the others, and what keeps their sessions.

import { z } from 'zod';
import { address, keyPrefix, redisUrl, setting } from './value-types.ts';

const WILDCARDS = ['0.0.0.0', '::'];
const fixed = (description: string, example: unknown) => ({ description, 'x-example': example, 'x-live': false });

export const peers = z
  .strictObject({
    host: setting(z.string().min(1), '127.0.0.1', 'the address where the other replicas connect; plain HTTP', {
      live: false,
    }),
    port: setting(z.int().min(1).max(65_535), 8082, 'the port of that address', { live: false }),
    self: address
      .optional()
      .meta(
        fixed(
          'how the others reach this one, HOST:PORT; not given: host and port; must be given where host is every address',
          '10.0.0.3:8082',
        ),
      ),
    addresses: z
      .array(address)
      .min(1, 'names no replica: give at least one')
      .optional()
      .meta(fixed('the replicas, HOST:PORT each; self may be among them', ['10.0.0.3:8082', '10.0.0.4:8082'])),
    dns: address
      .optional()
      .meta(
        fixed(
          'in place of addresses: NAME:PORT, whose addresses are those of all replicas and are looked up again and again, such as a headless Service',
          'causeway-peers:8082',
        ),
      ),
  })
  .superRefine(({ host, self, addresses, dns }, context) => {
    const fault = (key: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], message });
    };
    if (self === undefined && WILDCARDS.includes(host)) {
      fault('self', `is missing: the others cannot connect to ${host}; say the address of this replica, HOST:PORT`);
    }
    if (addresses === undefined && dns === undefined) {
      fault('addresses', 'is missing: the replicas are named by addresses, or by dns');
    } else if (addresses !== undefined && dns !== undefined) {
      fault('dns', 'stands beside addresses: the replicas are named by one of the two');
    }
  })
  .transform((given) => ({ ...given, self: given.self ?? `${bracketed(given.host)}:${given.port}` }))
  .optional()
  .meta({
    description:
      'the other replicas of this gateway, which share its sessions: each serves every client, and passes on what another one holds; needs secrets.current, the same for all. Not given: there are none',
    'x-example': { self: '10.0.0.3:8082', dns: 'causeway-peers:8082' },
    'x-live': false,
  });

const stored = z.strictObject({
  url: redisUrl.meta(fixed('redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// over TLS', 'rediss://redis:6379/0')),
  ca: z
    .string()
    .min(1, 'names no file')
    .optional()
    .meta(
      fixed(
        'a file with the authorities, in PEM form, that its certificate may come from, in place of the public ones',
        '/etc/causeway/redis-ca.pem',
      ),
    ),
  prefix: setting(
    keyPrefix,
    'causeway',
    'how the keys begin: another one for each deployment that shares the database',
    {
      live: false,
    },
  ),
});

export const store = z
  .union([redisUrl, stored])
  .transform((given) => (given instanceof URL ? { url: given, ca: undefined, prefix: 'causeway' } : given))
  .optional()
  .meta({
    description:
      'a Redis or Valkey that keeps sessions, so that another replica goes on with them when one dies; a URL, or a section; needs secrets.current, the same for all, and the package ioredis. Not given: a session ends with its process',
    'x-example': 'redis://127.0.0.1:6379/0',
    'x-live': false,
  });

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
