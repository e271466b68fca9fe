// Who may use the listener for whoever runs the gateway: nobody without the token where there is one, but probes.

import { describe, expect, test } from 'vitest';
import { type Gateway, type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { refuseUnsafe, warningsOf } from '../../src/verbs/exposure.ts';
import { configOf } from '../config/surroundings.ts';

const TOKEN = 'Zk3.7_x-9~+/0123456789==';
const WITH = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const basic = (pair: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
});
const guarded = (more: object = {}): GatewayConfig => ({ admin: { port: 0, token: TOKEN, ...more } });

async function statusesOf(gateway: Gateway, headers: Record<string, string> = {}): Promise<Record<string, number>> {
  const asked = PATHS.map(async ([method, path]) => {
    const response = await fetch(gateway.adminOrigin + path, { method, headers });
    await response.arrayBuffer();
    return [path, response.status] as const;
  });
  return Object.fromEntries(await Promise.all(asked));
}

const PATHS = [
  ['GET', '/'],
  ['GET', '/status'],
  ['GET', '/errors'],
  ['GET', '/metrics'],
  ['POST', '/-/reload'],
  ['GET', '/nowhere'],
  ['GET', '/healthz'],
] as const;
const OPEN = {
  '/': 200,
  '/status': 200,
  '/errors': 200,
  '/metrics': 200,
  '/-/reload': 200,
  '/nowhere': 404,
  '/healthz': 200,
};
const SHUT = {
  '/': 401,
  '/status': 401,
  '/errors': 401,
  '/metrics': 401,
  '/-/reload': 401,
  '/nowhere': 401,
  '/healthz': 200,
};

describe('with a token', () => {
  test.each<readonly [what: string, headers: Record<string, string>, expected: Record<string, number>]>([
    ['nothing', {}, SHUT],
    ['the token', WITH(TOKEN), OPEN],
    ['the token as a password, of whomever', basic(`admin:${TOKEN}`), OPEN],
    ['the token as a password, of nobody', basic(`:${TOKEN}`), OPEN],
    ['another token', WITH('another-0123456789'), SHUT],
    ['a part of it', WITH(TOKEN.slice(0, -3)), SHUT],
    ['more than it', WITH(`x${TOKEN}`), SHUT],
    ['the token as a user', basic(`${TOKEN}:`), SHUT],
    ['another password', basic('admin:another-0123456789'), SHUT],
    ['a password that is none', { authorization: 'Basic !!!' }, SHUT],
    ['no pair', basic(TOKEN), SHUT],
    ['a scheme that nobody knows', { authorization: `Token ${TOKEN}` }, SHUT],
    ['an empty header', { authorization: '' }, SHUT],
    ['a name of an object’s own', basic('__proto__:constructor'), SHUT],
  ])('who sends %s is let in or not [T28]', async (_, headers, expected) => {
    const { gateway } = await gatewayBefore({}, guarded());

    expect(await statusesOf(gateway, headers)).toEqual(expected);
    // Counted as what it is, and told without what was sent.
    const refused = gateway.journal.of('refused').filter(({ reason }) => reason === 'unauthorized');
    expect(refused.length).toBe(Object.values(expected).filter((status) => status === 401).length);
    expect(JSON.stringify(refused)).not.toContain('another-0123456789');
    expect(gateway.journal.of('reloaded').length).toBe(expected === OPEN ? 1 : 0);
  });

  test('a refusal says what is asked for, so that a browser can ask its user', async () => {
    const { gateway } = await gatewayBefore({}, guarded());

    const response = await fetch(`${gateway.adminOrigin}/status`, { headers: { accept: 'text/html' } });

    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="mcp-causeway admin", Basic realm="mcp-causeway admin", charset="UTF-8"',
    );
    expect(await response.json()).toEqual({ reason: 'unauthorized', message: 'the admin token is needed' });
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('a page of elsewhere is refused as one, with the token or without: browsers send what they were once told [T28]', async () => {
    const { gateway } = await gatewayBefore({}, guarded());
    const post = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`${gateway.adminOrigin}/-/reload`, { method: 'POST', headers })).status;

    const statuses = [
      await post({ origin: 'http://evil.example', ...basic(`admin:${TOKEN}`) }),
      await post({ origin: 'http://evil.example' }),
      await post({}),
    ];

    expect(statuses).toEqual([403, 403, 401]);
    expect(gateway.journal.of('reloaded')).toEqual([]);
  });

  test('metrics may be open, and nothing else is for that', async () => {
    const { gateway } = await gatewayBefore({}, guarded({ metrics: 'open' }));

    expect(await statusesOf(gateway)).toEqual({ ...SHUT, '/metrics': 200 });
  });

  test('a reload takes another one, and keeps the one before where its file has a fault', async () => {
    const { gateway } = await gatewayBefore({}, guarded());
    const status = async (token: string): Promise<number> =>
      (await fetch(`${gateway.adminOrigin}/status`, { headers: WITH(token) })).status;
    const other = 'the-next-token-0123456789';

    await expect(gateway.reload(guarded({ token: 'short' }))).rejects.toThrow(/admin\.token.*16 to 512/);
    const kept = [await status(TOKEN), await status(other)];
    const { changed, needsRestart } = await gateway.reload(guarded({ token: other }));
    const taken = [await status(TOKEN), await status(other)];

    expect([kept, taken]).toEqual([
      [200, 401],
      [401, 200],
    ]);
    expect([changed, needsRestart]).toEqual([['admin.token'], []]);
  });
});

describe('on a public address', () => {
  const elsewhere = (more = ''): string => `admin: { host: 0.0.0.0${more} }\nupstreams: [{ url: 'http://old/sse' }]\n`;

  test('without a token nothing but probes is answered, and metrics where they are open [T28]', async () => {
    const { gateway } = await gatewayBefore({}, { admin: { host: '0.0.0.0', port: 0 } });
    const { gateway: open } = await gatewayBefore({}, { admin: { host: '0.0.0.0', port: 0, metrics: 'open' } });

    expect(await statusesOf(gateway, WITH(TOKEN))).toEqual(SHUT);
    expect(await statusesOf(open)).toEqual({ ...SHUT, '/metrics': 200 });
  });

  test('it is refused before it starts, unless there is a token, or metrics are said to be open [T28]', () => {
    const token = '"${ADMIN_TOKEN}"';
    const env = { ADMIN_TOKEN: TOKEN };

    expect(() => refuseUnsafe(configOf({ yaml: elsewhere() }))).toThrow(
      /listener of admin is on a public address, 0\.0\.0\.0.*admin\.token \(CAUSEWAY_ADMIN_TOKEN.*admin\.metrics: open/,
    );
    for (const more of [`, token: ${token}`, `, metrics: open`, `, token: ${token}, metrics: open`]) {
      const config = configOf({ yaml: elsewhere(more), env });
      expect(() => refuseUnsafe(config)).not.toThrow();
      expect(warningsOf(config)).toEqual([]);
    }
  });
});
