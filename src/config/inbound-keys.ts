// Who may call, as keys of the configuration: of all upstreams, or of one.

import { z } from 'zod';
import { wrongDigests } from './credentials.ts';
import { duration, issuerUrl, setting, trustedUrl } from './value-types.ts';

/** None that is symmetric: whoever knows the public key could sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;
/** [RFC 6749 3.3] `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )` */
const SCOPE = /^[!#-[\]-~]+$/;

const bearerKey = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$/, 'must be letters, digits, dots, dashes, underscores and @, at most 63')
    .meta({ description: 'who calls with it; callers of different names share nothing' }),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be the 64 hexadecimal digits of `printf %s "$KEY" | sha256sum | cut -d\' \' -f1`')
    .meta({ description: 'the SHA-256 of the key; the key itself stands nowhere' }),
});

const jwt = z
  .strictObject({
    issuer: issuerUrl.meta({
      description: 'who issues the tokens: their iss, and what clients are told as their authorization server',
      'x-example': 'https://login.example.com',
      'x-live': true,
    }),
    jwksUri: trustedUrl.optional().meta({
      description: 'where its public keys are; fetched when they are needed, and kept',
      'x-example': 'https://login.example.com/.well-known/jwks.json',
      'x-live': true,
    }),
    jwksFile: z.string().min(1, 'is empty: name a file').optional().meta({
      description: 'a file with its public keys, in place of jwksUri; read at the start and by a reload',
      'x-example': '/etc/causeway/jwks.json',
      'x-live': true,
    }),
    audience: z
      .array(z.string().min(1, 'is empty'))
      .min(1, 'names no audience: give at least one, or leave it out')
      .optional()
      .meta({
        description:
          'what the aud of a token must name, one of them; not given: publicUrl with the path of the upstream, and with legacy.sse',
        'x-example': ['https://mcp.example.com/mcp'],
        'x-live': true,
      }),
    scopes: setting(
      z.array(z.string().regex(SCOPE, 'must be one scope, without blanks, quotes and backslashes')),
      [],
      'the scopes that a token must have, all of them',
      { example: ['mcp'] },
    ),
    algorithms: setting(
      z.array(z.enum(ALGORITHMS)).min(1, 'names no algorithm: give at least one, or leave it out'),
      [...ALGORITHMS],
      'how tokens may be signed',
    ),
    clockTolerance: duration('30s', 'how far the clocks of issuer and gateway may be apart', { leastMs: 0 }),
  })
  .superRefine(({ jwksUri, jwksFile }, context) => {
    if ((jwksUri === undefined) === (jwksFile === undefined)) {
      const message =
        jwksUri === undefined
          ? 'is missing: the public keys of the issuer come from jwksUri, or from jwksFile'
          : 'stands beside jwksFile: the keys come from one of the two';
      context.addIssue({ code: 'custom', path: ['jwksUri'], message });
    }
  });

export const inbound = setting(
  z.union([
    z.literal('none'),
    z.strictObject({
      bearer: z
        .strictObject({
          keys: z
            .array(bearerKey)
            .min(1, 'names no key: give at least one')
            .superRefine((keys, context) => {
              for (const { path, message } of wrongDigests(keys)) context.addIssue({ code: 'custom', path, message });
            })
            .meta({
              description: 'the keys that are let in, by name',
              'x-example': [{ name: 'alice', sha256: '0'.repeat(64) }],
              'x-live': true,
            }),
        })
        .meta({ description: 'callers send Authorization: Bearer KEY' }),
    }),
    z.strictObject({
      jwt: jwt.meta({ description: 'callers send Authorization: Bearer TOKEN, a JWT of this issuer' }),
    }),
  ]),
  'none',
  'who may call: everybody who reaches the address, holders of a key, or of a token',
);
