// --yaml: a file that fits the server, which `check` takes and the gateway serves.

import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { check } from '../../src/verbs/check.ts';
import { THIS_MACHINE } from '../../src/verbs/surroundings.ts';
import { TRUSTED, certificateFile } from '../support/certificates.ts';
import { FRAMEWORKS } from '../support/frameworks.ts';
import { playFramework } from '../support/framework-server.ts';
import { gatewayBefore } from '../support/gateway.ts';
import { type Behaviour, endpoints } from '../support/legacy-behaviour.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { file } from '../verbs/program.ts';
import { type Options, probed } from './probed.ts';

async function legacy(behaviour: Partial<Behaviour> = {}): Promise<LegacyServer> {
  const server = await startLegacyServer(behaviour);
  onTestFinished(() => server.close());
  return server;
}

/** The only upstream of what is printed, once `check` has taken the file. */
async function upstreamFor(url: URL | string, options: Options = {}): Promise<Record<string, unknown>> {
  const { stdout, isUsable } = await probed(url, { ...options, output: 'yaml' });
  const said: string[] = [];
  const write = (text: string): number => said.push(text);
  const machine = { ...THIS_MACHINE, env: options.env ?? {}, stdout: { write }, stderr: { write } };

  const isValid = check({ file: file(stdout) }, { json: false, printEffective: false }, machine);

  expect([isUsable, isValid, said.join('')]).toEqual([true, true, expect.stringMatching(/is valid/)]);
  const { upstreams } = parse(stdout) as { upstreams: Record<string, unknown>[] };
  expect(upstreams.length).toBe(1);
  return upstreams[0] ?? {};
}

test('a server that needs nothing gets its URL and nothing else', async () => {
  const { url } = await legacy();

  expect(await upstreamFor(url)).toEqual({ url: url.href });
});

test('headers are as they were given: by variable, by file, or as a harmless text', async () => {
  const server = await legacy();
  const key = file('s3cret\n', 'billing.key');
  const header = ['authorization=${TOKEN}', `x-api-key=@${key}`, 'x-tenant=billing'];

  const upstream = await upstreamFor(server.url, { flags: { header }, env: { TOKEN: 'Bearer t0ken' } });

  expect(upstream['headers']).toEqual({
    authorization: '${TOKEN}',
    'x-api-key': `\${file:${key}}`,
    'x-tenant': 'billing',
  });
  expect(server.gets.map(({ headers }) => [headers.authorization, headers['x-api-key'], headers['x-tenant']])).toEqual(
    server.gets.map(() => ['Bearer t0ken', 's3cret', 'billing']),
  );
});

test('what is secret in the URL becomes a variable, to be set as it stood there', async () => {
  const server = await legacy();
  const given = server.url.href.replace('//', '//al%40ice:p%2Fw@').concat('?api_key=k%20k&room=1');
  const env = { UPSTREAM_USER: 'al%40ice', UPSTREAM_PASSWORD: 'p%2Fw', UPSTREAM_API_KEY: 'k%20k' };

  const { stdout } = await probed(given, { output: 'yaml' });
  const upstream = await upstreamFor(given, { env });

  expect(upstream['url']).toMatch(
    /^http:\/\/\$\{UPSTREAM_USER\}:\$\{UPSTREAM_PASSWORD\}@.*\/sse\?api_key=\$\{UPSTREAM_API_KEY\}&room=1$/,
  );
  expect(stdout).not.toMatch(/ice|p%2Fw|k%20k/);
  expect(stdout).toMatch(/^# UPSTREAM_USER: as it stood in the URL/m);
  expect(server.gets[0]?.headers.authorization).toBe(`Basic ${Buffer.from('al@ice:p/w').toString('base64')}`);
});

test('an endpoint on an inner origin is posted to where the stream is, and that is set', async () => {
  const inner = await legacy();
  const server = await legacy({ endpoint: endpoints.otherOrigin(inner.url.origin) });

  const upstream = await upstreamFor(server.url);

  expect(upstream).toEqual({ url: server.url.href, messageUrl: new URL('/messages', server.url).href });
  expect([inner.gets, inner.received]).toEqual([[], []]);
});

test('a server with a certificate of an authority of its own keeps tls.ca', async () => {
  const ca = certificateFile('ca.pem');
  const { url } = await legacy({ tls: TRUSTED });

  expect(await upstreamFor(url, { flags: { 'tls-ca': ca } })).toEqual({ url: url.href, tls: { ca } });
});

describe('a server for one connection only gets links.single', () => {
  test.each<[what: string, behaviour: Partial<Behaviour>, one: boolean]>([
    ['that lets each live', {}, false],
    ['that sends everything to everybody', { delivery: 'all' }, true],
    ['that gives all to the newest', { delivery: 'newest' }, true],
  ])('one %s', async (_what, behaviour, one) => {
    const { url } = await legacy(behaviour);

    const upstream = await upstreamFor(url, { secondConnection: true });

    expect(upstream['links']).toEqual(one ? { single: true } : undefined);
  });

  test('one that is known for it, without a second connection', async () => {
    const fastMcp = FRAMEWORKS.find(({ name }) => name === 'Ruby fast-mcp');
    if (fastMcp === undefined) throw new Error('the fixture is gone');
    const { url } = await playFramework(fastMcp);

    expect(await upstreamFor(url)).toEqual({ url: url.href, links: { single: true } });
  });
});

test.each([
  ['cannot be used', 'http://127.0.0.1:1/sse', /is nothing that answers.*\nnext: check that the server runs/],
  ['needs no gateway', '/mcp', /is an MCP server that speaks Streamable HTTP\nnext: it needs no gateway/],
])('for one that %s there is none: nothing on stdout, the reason on stderr', async (_what, url, why) => {
  const { gateway } = await gatewayBefore({}, { links: { min: 0 } });

  const said = await probed(new URL(url, gateway.origin), { output: 'yaml' });

  expect(said).toEqual({ isUsable: false, stdout: '', stderr: expect.stringMatching(why) });
});

test('a text that looks like a variable is none: in the URL, and in what the server announces', async () => {
  const { url } = await legacy();
  url.search = '?x=${HOME}';

  const { stdout } = await probed(url, { output: 'yaml', flags: { 'message-url': `${url.origin}/messages?\${HOME}` } });

  expect(stdout).not.toMatch(/(?<!\$)\$\{/);
});
