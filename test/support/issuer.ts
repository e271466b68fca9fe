// An issuer of tokens: its keys, the server that publishes them, and whatever it signs, right or wrong.

import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, type JWK, type JWTPayload, SignJWT, exportJWK, generateKeyPair } from 'jose';
import { onTestFinished } from 'vitest';

export const PUBLIC_URL = 'https://mcp.example.com';
export const RESOURCE = `${PUBLIC_URL}/mcp`;

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly secret: CryptoKey;
  readonly published: JWK;
}

/** Also such as no issuer would make; undefined: not there. */
export type Claims = Readonly<Record<string, unknown>>;
export type Answering = (request: IncomingMessage, response: ServerResponse) => void;

export async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, secret: privateKey, published: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export class Issuer {
  readonly url: string;
  /** What it publishes. */
  keys: SigningKey[];
  /** What its server does instead of publishing them. */
  answering: Answering | null = null;
  /** How often it was asked. */
  asked = 0;

  constructor(url: string, keys: SigningKey[]) {
    this.url = url;
    this.keys = keys;
  }

  get jwksUri(): string {
    return `${this.url}/jwks.json`;
  }

  get keySet(): { keys: JWK[] } {
    return { keys: this.keys.map(({ published }) => published) };
  }

  /** As it should be, but for what is said. */
  async token(claims: Claims = {}, header: Record<string, unknown> = {}, key = this.keys[0]): Promise<string> {
    if (key === undefined) throw new Error('the issuer has no key');
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: this.url, sub: 'alice', aud: RESOURCE, iat: now, exp: now + 300, ...claims };
    return new SignJWT(JSON.parse(JSON.stringify(payload)) as JWTPayload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
      .sign(key.secret);
  }

  /** The headers of a request with such a token. */
  async bearer(claims: Claims = {}): Promise<{ authorization: string }> {
    return { authorization: `Bearer ${await this.token(claims)}` };
  }
}

/** For the length of one test. */
export async function startIssuer(): Promise<Issuer> {
  const server = createServer((request, response) => {
    issuer.asked++;
    if (issuer.answering !== null) issuer.answering(request, response);
    else response.setHeader('content-type', 'application/jwk-set+json').end(JSON.stringify(issuer.keySet));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const issuer = new Issuer(`http://127.0.0.1:${port}`, [await signingKey('first')]);
  return issuer;
}
