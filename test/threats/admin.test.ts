// The listener for whoever runs the built program, with a token, and names on its pages that somebody else has chosen.

import { expect } from 'vitest';
import { inFrontOf } from './built.ts';

const TOKEN = 'planted-admin-token-0123';
const BEARER = { authorization: `Bearer ${TOKEN}` };
const EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>';

const test = inFrontOf({
  upstreams: {
    main: {
      behaviour: {
        serverInfo: { name: EVIL, version: '1' },
        tools: { [EVIL]: (call) => call.released, add: () => ({ content: [{ type: 'text', text: EVIL }] }) },
      },
    },
  },
  // oxlint-disable-next-line no-template-curly-in-string -- as it stands in a file
  config: { admin: { port: 0, token: '${ADMIN_TOKEN}' } },
  env: { ADMIN_TOKEN: TOKEN },
});

test('without the token nothing of it is to be had but health, and with it a page of elsewhere gets nothing [T28]', async ({
  built: { admin, program },
}) => {
  const paths = ['/', '/status', '/errors', '/metrics', '/nowhere'];
  const page = { ...BEARER, origin: 'http://evil.example' };

  const refused = await Promise.all([
    ...paths.map((path) => admin.send('GET', path)),
    ...paths.map((path) => admin.send('GET', path, { authorization: `Bearer ${TOKEN.slice(1)}` })),
    admin.send('POST', '/-/reload'),
  ]);
  const foreign = await Promise.all([
    ...paths.map((path) => admin.send('GET', path, page)),
    admin.send('POST', '/-/reload', page),
  ]);
  const health = await admin.send('GET', '/healthz');
  const own = await admin.send('POST', '/-/reload', BEARER);

  expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 401));
  expect(foreign.map(({ status }) => status)).toEqual(foreign.map(() => 403));
  expect([health.status, own.status]).toEqual([200, 200]);
  await program.says(/"configuration reloaded"/);
  expect(program.stderr().match(/"configuration reloaded"/g)?.length).toBe(1);
  expect(program.stderr()).not.toContain(TOKEN);
});

test('names of servers, tools and clients are text on the page, and nothing of it could run [T29]', async ({
  built,
  servers: { main },
}) => {
  const session = { 'mcp-session-id': await built.openSession({ clientInfo: { name: EVIL, version: '1' } }) };
  await built.call('add', {}, 1, session);
  void built.call(EVIL, {}, 2, session);
  await main.nextCall(EVIL);

  const { headers, text } = await built.admin.send('GET', '/', { ...BEARER, accept: 'text/html' });

  const escaped = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;';
  expect(text.split(escaped).length).toBe(3);
  expect(text).not.toMatch(/<script|<img/i);
  expect(headers['content-security-policy']).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/]+='; img-src data:; /,
  );
});
