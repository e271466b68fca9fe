// An upstream that tries to send us elsewhere by its endpoint event: at once, or in mid-session. Nobody is visited, whoever
// asks (a call, a session, an old client), and what we know each other by is told to nobody.

import { describe, expect, onTestFinished, test } from 'vitest';
import { type Attacker, startAttacker } from '../support/attacker.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { type Behaviour, endpoints } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { openOldClient } from '../support/old-client.ts';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'open',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

/** With credentials for the upstream: in its URL, and in a header. */
async function trustedUpstream(behaviour: Partial<Behaviour>): Promise<{ upstream: LegacyServer; gateway: Gateway }> {
  const upstream = await startLegacyServer(behaviour);
  onTestFinished(() => upstream.close());
  const url = Object.assign(new URL(upstream.url), { username: 'us', password: 'pa55' });
  const gateway = await startGateway(url, {
    timeouts: { connect: '300ms', headers: '300ms', endpoint: '200ms', initialize: '200ms' },
    links: { min: 0 },
    upstream: { headers: { 'x-api-key': 'k3y' } },
  });
  onTestFinished(() => gateway.close());
  return { upstream, gateway };
}

/** `at`: HOST:PORT of the attacker; `own`: that of the upstream. */
type Endpoint = (at: string, own: string) => string;
const port = (at: string): string => at.slice(at.indexOf(':') + 1);

const ELSEWHERE: readonly (readonly [what: string, endpoint: Endpoint])[] = [
  ['another port', (at) => `http://${at}/messages`],
  ['another scheme in capitals', (at) => `HTTP://${at}/messages`],
  ['a protocol-relative URL', (at) => `//${at}/messages`],
  ['three slashes', (at) => `///${at}/messages`],
  ['more slashes than a scheme has', (at) => `http:////${at}/messages`],
  ['backslashes', (at) => `\\\\${at}\\messages`],
  ['a slash and a backslash', (at) => `/\\${at}/messages`],
  ['a backslash and a slash', (at) => `\\/${at}/messages`],
  ['a scheme with backslashes', (at) => `http:\\\\${at}\\messages`],
  ['white space in front', (at) => `  //${at}/messages`],
  ['a tab between the slashes', (at) => `/\t/${at}/messages`],
  ['a user and password', (at) => `http://user:pw@${at}/messages`],
  ['the upstream for a user', (at, own) => `http://${own}@${at}/messages`],
  ['the upstream for a user, protocol-relative', (at, own) => `//${own}@${at}/messages`],
  ['the upstream before a backslash', (at, own) => `http://${at}\\@${own}/messages`],
  ['a user at the upstream itself', (_, own) => `http://user:pw@${own}/messages`],
  ['an empty user at the upstream itself', (_, own) => `http://:pw@${own}/messages`],
  ['https', (at) => `https://${at}/messages`],
  ['https of the upstream itself', (_, own) => `https://${own}/messages`],
  ['another name of this host', (at) => `http://localhost:${port(at)}/messages`],
  ['another name of the upstream', (_, own) => `http://localhost:${port(own)}/messages`],
  ['a name with a dot behind it', (_, own) => `http://localhost.:${port(own)}/messages`],
  ['another address of the upstream', (_, own) => `http://[::ffff:127.0.0.1]:${port(own)}/messages`],
  ['a number for an address', (at) => `http://2130706433:${port(at)}/messages`],
  ['a short address in hexadecimal', (at) => `http://0x7f.1:${port(at)}/messages`],
  ['full-width digits', (at) => `http://１２７.0.0.1:${port(at)}/messages`],
  ['digits in circles', (at) => `http://①②⑦.0.0.1:${port(at)}/messages`],
  ['an ideographic full stop', (at) => `http://127。0。0。1:${port(at)}/messages`],
  ['a percent-encoded address', (at) => `http://127%2e0.0.1:${port(at)}/messages`],
  ['a name that looks like another', (_, own) => `http://lоcalhost:${port(own)}/messages`],
  ['a name in Punycode', (_, own) => `http://xn--lcalhost-2fg:${port(own)}/messages`],
  ['a metadata service', () => 'http://169.254.169.254/latest/meta-data'],
  ['a metadata service in IPv6', () => 'http://[fd00:ec2::254]/latest/meta-data'],
  ['blob: of the upstream itself', (_, own) => `blob:http://${own}/x`],
  ['blob: of another host', (at) => `blob:http://${at}/x`],
  ['javascript:', () => 'javascript:alert(1)'],
  ['data:', () => 'data:text/plain,x'],
  ['file:', () => 'file:///etc/passwd'],
  ['ws:', (at) => `ws://${at}/messages`],
  ['ftp:', (at) => `ftp://${at}/messages`],
  ['a port that does not exist', () => 'http://127.0.0.1:99999/'],
  ['a control character', () => '/messages\u0001?x=1'],
  ['9,000 characters', () => `/messages?x=${'x'.repeat(9000)}`],
];

function nobodyWasTold(attacker: Attacker, upstream: LegacyServer): void {
  expect([attacker.visits(), attacker.said()]).toEqual([0, '']);
  // The upstream itself was told, so there was something to steal.
  const basic = `Basic ${Buffer.from('us:pa55').toString('base64')}`;
  expect(upstream.gets[0]?.headers).toMatchObject({ authorization: basic, 'x-api-key': 'k3y' });
}

describe('an endpoint event', () => {
  test.each(ELSEWHERE)('with %s: 502, and nobody is visited [G2 T1]', async (_, endpoint) => {
    const attacker = await startAttacker();
    const at = `127.0.0.1:${attacker.port}`;
    const { gateway, upstream } = await trustedUpstream({ endpoint: (_id, url) => [endpoint(at, url.host)] });

    const [called, opened, old] = await Promise.all([
      gateway.call('add'),
      gateway.post(INITIALIZE),
      openOldClient(gateway.origin),
    ]);
    // What it is told, or how it ends.
    const end = await old.endpoint().catch(() => old.closed);

    for (const answer of [called, opened]) {
      expect([answer.status, answer.json.error.data]).toMatchObject([502, { reason: 'endpoint_refused' }]);
      expect(answer.text).not.toContain(String(attacker.port));
    }
    expect([end, old.bytes.toString()]).toEqual(['broken', expect.not.stringContaining('data:')]);
    expect(upstream.received).toEqual([]);
    nobodyWasTold(attacker, upstream);
  });
});

describe('a second endpoint event in mid-session', () => {
  test('of the same origin is ignored and counted: messages go where they went [T2]', async () => {
    const { gateway, upstream } = await trustedUpstream({ endpoint: endpoints.path });
    const session = { 'mcp-session-id': await gateway.openSession() };
    const link = await upstream.nextStream();
    const running = gateway.call('slow', {}, 1, session);
    const call = await upstream.nextCall('slow');

    upstream.push(link, 'event: endpoint\ndata: /elsewhere?x=1\n\n');
    await gateway.journal.until(() => gateway.journal.dropped('second_endpoint') === 1);
    call.release();
    const next = await gateway.call('count', {}, 2, session);

    expect([(await running).json.result.content, next.json.result.content]).toMatchObject([
      [{ text: 'done' }],
      [{ text: '1' }],
    ]);
    expect(upstream.received.filter(({ url }) => !url.startsWith('/messages?'))).toEqual([]);
    expect(upstream.gets).toHaveLength(1);
  });

  test.each(ELSEWHERE.slice(0, 16))('with %s costs the link, and nobody is visited [G2 T2]', async (_, endpoint) => {
    const attacker = await startAttacker();
    const { gateway, upstream } = await trustedUpstream({});
    const session = { 'mcp-session-id': await gateway.openSession() };
    const link = await upstream.nextStream();
    const running = gateway.call('slow', {}, 1, session);
    await upstream.nextCall('slow');

    upstream.push(link, `event: endpoint\ndata: ${endpoint(`127.0.0.1:${attacker.port}`, upstream.url.host)}\n\n`);
    await gateway.journal.until(
      (fact) => fact.fact === 'link_closed' || (fact.fact === 'dropped' && fact.what === 'second_endpoint'),
    );

    expect(gateway.journal.of('link_closed')).toMatchObject([{ reason: 'lost', why: expect.stringContaining('URL') }]);
    expect((await running).json.error.data.reason).toBe('endpoint_refused');
    expect((await gateway.call('count', {}, 2, session)).json.result.content[0].text).toBe('1');
    nobodyWasTold(attacker, upstream);
  });

  test('ends the stream of an old client, who is told no URL [T2]', async () => {
    const attacker = await startAttacker();
    const { gateway, upstream } = await trustedUpstream({});
    const old = await openOldClient(gateway.origin);
    await old.endpoint();

    upstream.push(await upstream.nextStream(), `event: endpoint\ndata: http://127.0.0.1:${attacker.port}/x\n\n`);

    expect(await old.closed).toBe('broken');
    expect(old.bytes.toString()).not.toContain(String(attacker.port));
    nobodyWasTold(attacker, upstream);
  });
});
