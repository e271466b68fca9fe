// Which server is talked to over https: links, their POSTs and old clients alike. And that none sends us elsewhere.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  EXPIRED,
  OTHER_NAME,
  SELF_SIGNED,
  TLS_1_0,
  TRUSTED,
  WANTS_CERTIFICATE,
  certificateFile,
} from '../support/certificates.ts';
import { type GatewayConfig, gatewayBefore } from '../support/gateway.ts';
import { exchange, openOldClient } from '../support/old-client.ts';
import { readScrape } from '../support/prometheus.ts';

type Tls = NonNullable<NonNullable<GatewayConfig['upstream']>['tls']>;

const ca = certificateFile('ca.pem');
const OWN = { cert: certificateFile('client.pem'), key: certificateFile('client.key') };
const COLD = { links: { min: 0 } };

test.each<[what: string, server: ServerOptions, tls: Tls | undefined, why: RegExp]>([
  ['an authority that nobody knows', TRUSTED, undefined, /not known: name its certificate in tls\.ca/],
  ['no authority but itself', SELF_SIGNED, { ca }, /signed by nobody but itself: name it in tls\.ca/],
  ['another name', OTHER_NAME, { ca }, /another name than its URL: .* tls\.serverName/],
  ['another name than tls.serverName', TRUSTED, { ca, serverName: 'billing.example' }, /another name/],
  ['a day that is over', EXPIRED, { ca }, /expired: renew it/],
  ['TLS 1.0', TLS_1_0, { ca }, /no TLS from 1\.2 on/],
])('a server with %s is not talked to, whatever the environment says: 502 [T15]', async (_what, server, tls, why) => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { gateway, upstream } = await gatewayBefore({ tls: server }, { ...COLD, upstream: { ...(tls && { tls }) } });

  const called = await gateway.call('add', { a: 1, b: 2 });
  const passed = await exchange(`${gateway.origin}/sse`, 'GET');

  expect([called.status, passed.status]).toEqual([502, 502]);
  for (const text of [called.text, passed.body.toString()]) {
    const { error } = JSON.parse(text) as { error: { message: string; data: { reason: string } } };
    expect([error.data.reason, error.message]).toEqual(['upstream_tls', expect.stringMatching(why)]);
    expect(text).not.toMatch(/127\.0\.0\.1|https?:|fixtures|CN=/);
  }
  expect(upstream.gets).toEqual([]);
});

test('a server that wants a certificate of ours hangs up: 502', async () => {
  const { gateway, upstream } = await gatewayBefore({ tls: WANTS_CERTIFICATE }, { ...COLD, upstream: { tls: { ca } } });

  const called = await gateway.call('add', { a: 1, b: 2 });

  expect(called.status).toBe(502);
  expect(upstream.gets).toEqual([]);
});

test.each<[what: string, server: ServerOptions, tls: Tls]>([
  ['of an authority in tls.ca', TRUSTED, { ca }],
  ['that is in tls.ca itself', SELF_SIGNED, { ca: certificateFile('self-signed.pem') }],
  ['of the name in tls.serverName', OTHER_NAME, { ca, serverName: 'billing.example' }],
  ['that wants one of ours', WANTS_CERTIFICATE, { ca, ...OWN }],
  ['that is not looked at', EXPIRED, { insecureSkipVerify: true }],
])('a server %s is served: by links, POSTs and old clients', async (_what, server, tls) => {
  const { gateway } = await gatewayBefore({ tls: server }, { ...COLD, upstream: { tls }, admin: { port: 0 } });

  const called = await gateway.call('add', { a: 1, b: 2 });
  const old = await openOldClient(gateway.origin);
  await old.endpoint();
  const posted = await old.post({ jsonrpc: '2.0', id: 1, method: 'ping' });
  const metrics = readScrape(await (await fetch(`${gateway.adminOrigin}/metrics`)).text());

  expect([called.status, called.json.result.content[0].text, posted.status]).toEqual([200, '3', 202]);
  expect(metrics.sum('causeway_upstream_tls_unverified')).toBe(Number(tls.insecureSkipVerify === true));
});

test('a file that has changed is read by a reload, and makes another upstream of it; the same file does not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'ca.pem');
  copyFileSync(ca, file);
  const config: GatewayConfig = { ...COLD, upstream: { tls: { ca: file } } };
  const { gateway } = await gatewayBefore({ tls: TRUSTED }, config);
  const before = await gateway.call('add', { a: 1, b: 2 });

  const same = await gateway.reload(config);
  copyFileSync(certificateFile('self-signed.pem'), file);
  const changed = await gateway.reload(config);
  const after = await gateway.call('add', { a: 1, b: 2 });
  writeFileSync(file, 'no certificate');

  expect([before.status, after.status]).toEqual([200, 502]);
  expect([same.kept, changed.replaced]).toEqual([['default'], ['default']]);
  await expect(gateway.reload(config)).rejects.toThrow(`${file} holds no certificate in PEM form`);
});

describe('a redirect is not followed [T3]', () => {
  test.each([301, 302, 303, 307, 308])('%s', async (status) => {
    let visits = 0;
    const elsewhere = createServer((_request, response) => {
      visits++;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: endpoint\ndata: /m\n\n');
    });
    elsewhere.listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    onTestFinished(() => void elsewhere.close());
    const address = elsewhere.address();
    const location = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/sse`;
    const redirects = { status, headers: { location } };
    const { gateway, upstream } = await gatewayBefore(
      { post: (message) => (message.method === 'tools/call' ? redirects : 'accepted') },
      { ...COLD, upstream: { headers: { authorization: 'Bearer planted' } } },
    );

    const posted = await gateway.call('add', { a: 1, b: 2 });
    upstream.behaviour.get = redirects;
    upstream.cutStreams();
    await upstream.whenStreams(0);
    const opened = await gateway.call('add', { a: 1, b: 2 });
    const passed = await exchange(`${gateway.origin}/sse`, 'GET');

    expect([posted.status, posted.json.error.data]).toMatchObject([200, { reason: 'post_rejected' }]);
    expect([opened.status, opened.json.error.data.reason]).toEqual([502, 'upstream_redirect']);
    expect(passed.status).toBe(502);
    expect(visits).toBe(0);
  });
});
