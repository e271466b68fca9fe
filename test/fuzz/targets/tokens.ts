// Sealed tokens: what we sealed comes back as it was, and nothing else is one.

import { createHash } from 'node:crypto';
import { type SealedClaims, TokenSealer } from '../../../src/protocol/sealed-token.ts';
import { type Target, must, same } from '../target.ts';

const NOW = 1_800_000_000;

const sealer = new TokenSealer(digestOf('a key'), (length) => digestOf('by chance').subarray(0, length));
const foreign = new TokenSealer(digestOf('another key'), (length) => digestOf('by chance').subarray(0, length));

export const TOKENS: Target = {
  words: ['A', '=', '-', '_', '+', '/', '\n', '\0', 'AAAA', '{"kind":"session"}', '"expiresAt":9e99', '😀', '\ud800'],
  check(input) {
    const text = input.toString('utf8');
    const claims: SealedClaims = {
      kind: 'endpoint',
      owner: text.slice(0, 8),
      mount: text.slice(8, 16),
      passage: text.slice(16, 24),
      principal: text,
      expiresAt: NOW + 1,
      url: input.length,
      origin: 0,
      target: input.toString('latin1'),
    };
    const token = sealer.seal(claims);
    same(sealer.open('endpoint', token, NOW), claims, 'a token says something else than was sealed');
    must(sealer.open('endpoint', token, NOW + 1) === null, 'a token outlives its time');
    must(foreign.open('endpoint', token, NOW) === null, 'a token of another key is opened');
    for (const purpose of ['session', 'state', 'hop'] as const)
      must(sealer.open(purpose, token, NOW) === null, 'a token is opened for something else');

    must(sealer.open('endpoint', text, NOW) === null, 'a text of a stranger is a token');
    must(
      sealer.open('endpoint', input.toString('base64url'), NOW) === null,
      'bytes of a stranger are a token, spelt well',
    );
    // What the input says is done to a true one.
    const bytes = Buffer.from(token, 'base64url');
    const [at = 0, by = 0, length = 0] = input;
    const place = (at * 256 + by) % bytes.length;
    const bent = Buffer.from(bytes);
    bent[place] = (bent[place] ?? 0) ^ (length % 255) ^ 0xff;
    const others = [
      bent,
      Buffer.concat([bytes.subarray(0, place), input]),
      Buffer.concat([bytes.subarray(0, place), input, bytes.subarray(place)]),
      bytes.subarray(0, place),
    ].filter((other) => !other.equals(bytes));
    for (const other of others)
      must(sealer.open('endpoint', other.toString('base64url'), NOW) === null, 'a changed token is opened');
    const spelt = token.slice(0, place) + text + token.slice(place);
    must(spelt === token || sealer.open('endpoint', spelt, NOW) === null, 'another spelling is opened');
    // By its order of size: a way for every length would collect long inputs, and little else.
    return `${Math.ceil(Math.log2(bytes.length))}${text.length === input.length}`;
  },
};

function digestOf(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
