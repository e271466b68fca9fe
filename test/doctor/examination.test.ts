// Doctor over real sockets: what it finds is what is there.

import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import { type AddressInfo, type Server, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, onTestFinished, test } from 'vitest';
import { certificateFile, EXPIRED, OTHER_NAME, SELF_SIGNED, TRUSTED, certificate } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { PUBLIC_URL, RESOURCE, startIssuer } from '../support/issuer.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { file } from '../verbs/program.ts';
import { examined } from './examined.ts';

const CA = certificateFile('ca.pem');

async function legacyServer(overrides: Parameters<typeof startLegacyServer>[0] = {}): Promise<LegacyServer> {
  const server = await startLegacyServer(overrides);
  onTestFinished(() => server.close());
  return server;
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function answering(answer: (path: string, response: ServerResponse) => void): Promise<number> {
  const server = createServer((request, response) => answer(request.url ?? '', response));
  onTestFinished(() => server.closeAllConnections());
  return portOf(server);
}

test('a server that is there: who it is, what it offers, and that the clocks agree; its connection is given back', async () => {
  const server = await legacyServer();

  const found = await examined({ upstreams: [{ url: server.url.href }] });

  expect(found.result).toBe('ok');
  expect(found.of('upstream')).toEqual([
    expect.stringMatching(/^ok default: .*, revision 20.*tools.*, opened in \d+ ms$/),
  ]);
  expect(found.of('clock')).toEqual([expect.stringMatching(/^ok: within [123] s of 127\.0\.0\.1:\d+$/)]);
  expect(found.of('address')).toEqual(['ok listen: 127.0.0.1:0 is any free port']);
  await server.whenStreams(0);
  expect(server.gets).toHaveLength(1);
});

test('several servers are opened together, and each URL of one is a line', async () => {
  const server = await legacyServer();
  const dead = 'http://127.0.0.1:1/sse';

  const found = await examined({
    upstreams: [
      { name: 'a', path: '/a', url: [server.url.href, dead] },
      { name: 'b', path: '/b', url: `${server.url.origin}/mcp` },
    ],
  });

  expect(found.result).toBe('failed');
  expect(found.of('upstream')).toEqual([
    expect.stringMatching(/^ok a http:\/\/127\.0\.0\.1:\d+\/sse: /),
    expect.stringMatching(
      /^failed a http:\/\/127\.0\.0\.1:1\/sse: nothing answers at 127\.0\.0\.1:1: check that the server runs/,
    ),
    expect.stringMatching(/^failed b: nothing at \/mcp; the SSE endpoint is often \/sse: try http.*\/sse$/),
  ]);
});

test('an address that is taken: by a gateway that lives, or by something else', async () => {
  const gateway = await startGateway('http://127.0.0.1:1/sse');
  const other = await answering((_, response) => response.end('{"status":"fine"}'));
  const upstreams = [{ url: 'http://127.0.0.1:1/sse' }];

  const found = await examined({
    listen: { port: Number(new URL(gateway.origin).port) },
    admin: { port: other },
    upstreams,
  });

  expect(found.of('address')).toEqual([
    expect.stringMatching(/^warning listen: .* in use by a gateway that lives: is it already running\?/),
    expect.stringMatching(/^failed admin: .* in use by something that is no gateway: .*--admin HOST:PORT$/),
  ]);
});

test('an address that is not ours', async () => {
  const found = await examined({ listen: { host: '192.0.2.1' }, upstreams: [{ url: 'http://127.0.0.1:1/sse' }] });

  expect(found.of('address')).toEqual([
    expect.stringMatching(/^failed listen: 192\.0\.2\.1:8080 is not one of this machine’s/),
  ]);
});

test('a server that survives one connection only is left alone while a gateway runs', async () => {
  const server = await legacyServer();
  const gateway = await startGateway('http://127.0.0.1:1/sse');
  const upstreams = [{ url: server.url.href, links: { single: true as const } }];

  const beside = await examined({ listen: { port: Number(new URL(gateway.origin).port) }, upstreams });
  const alone = await examined({ upstreams });

  expect(beside.of('upstream')).toEqual([expect.stringMatching(/^ok default: not opened: it survives one connection/)]);
  expect(alone.of('upstream')).toEqual([expect.stringMatching(/^ok default: .* opened in/)]);
  expect(server.gets).toHaveLength(1);
});

test.each([
  ['a trusted one', TRUSTED, { ca: CA }, /^ok a: expires in \d+ days \(2120-01-01\), TLSv1\.3$/, /^ok a: /],
  [
    'one that has expired',
    EXPIRED,
    { ca: CA },
    /^failed a: expired on 2020-01-02, TLSv1\.3: .*renew it/,
    /^failed a: .*has expired: renew it/,
  ],
  [
    'one of another name',
    OTHER_NAME,
    { ca: CA },
    /^failed a: .*another name than its URL/,
    /^failed a: .*another name/,
  ],
  [
    'one of an unknown authority',
    TRUSTED,
    {},
    /^failed a: .*authority that is not known: name its certificate in tls.ca/,
    /^failed a: .*tls\.ca/,
  ],
  ['one that signs itself', SELF_SIGNED, {}, /^failed a: .*by nobody but itself/, /^failed a: /],
  [
    'one that is not checked',
    SELF_SIGNED,
    { insecureSkipVerify: true as const },
    /^warning a: .*not checked: .*nobody but itself/,
    /^ok a: /,
  ],
])('the certificate of a server, %s', async (_, tls, given, ofCertificate, ofServer) => {
  const server = await legacyServer({ tls });

  const found = await examined({ upstreams: [{ name: 'a', url: server.url.href, tls: given }] });

  const ofFiles = 'ca' in given ? ['ok a (tls.ca): expires in'] : [];
  expect(found.of('certificate')).toEqual([
    ...ofFiles.map((text) => expect.stringContaining(text)),
    expect.stringMatching(ofCertificate),
  ]);
  expect(found.of('upstream')).toEqual([expect.stringMatching(ofServer)]);
});

test.each([
  ['of the authority of the one before', ['server.pem', 'ca.pem'], /^ok listen: .*of a private authority/],
  ['alone', ['server.pem'], /^ok listen: .*of a private authority/],
  ['behind one that it has not issued', ['server.pem', 'other-name.pem'], /^warning listen: .*put each behind/],
])('what follows a certificate in its file: one %s', async (_, names, expected) => {
  const cert = file(names.map((name) => certificate(name)).join(''), 'chain.pem');
  const tls = { cert, key: file(certificate('server.key'), 'server.key') };

  const found = await examined({ listen: { port: 0, tls }, upstreams: [{ url: 'http://127.0.0.1:1/sse' }] });

  expect(found.of('certificate')).toEqual([expect.stringMatching(expected)]);
});

test('certificates of our own: of a listener, and for a server', async () => {
  const pem = (name: string): string => file(certificate(name), name);
  const tls = { cert: pem('other-name.pem'), key: pem('server.key') };
  const expired = { cert: pem('expired.pem'), key: pem('server.key') };
  const itself = { cert: pem('self-signed.pem'), key: pem('server.key') };

  const found = await examined({
    listen: { port: 0, tls },
    admin: { port: 0, tls: itself },
    publicUrl: 'https://mcp.example.com',
    upstreams: [{ name: 'a', url: 'https://127.0.0.1:1/sse', tls: expired }],
  });

  expect(found.of('certificate')).toEqual([
    expect.stringMatching(/^warning listen: .*for billing\.example, and not for mcp\.example\.com: .*issue it for mcp/),
    expect.stringMatching(/^warning admin: .*for 127\.0\.0\.1, signed by nobody but itself/),
    'failed a (tls.cert): expired on 2020-01-02: renew it',
  ]);
  expect(found.of('secret files')).toEqual(Array(3).fill(expect.stringMatching(/^warning \S+server\.key: every user/)));
});

const METADATA = { code_challenge_methods_supported: ['S256'] };

async function issuing(change: object = {}): Promise<Awaited<ReturnType<typeof startIssuer>>> {
  const issuer = await startIssuer();
  issuer.answering = (request, response) => {
    const metadata = { issuer: issuer.url, jwks_uri: issuer.jwksUri, ...METADATA, ...change };
    const isMetadata = request.url === '/.well-known/oauth-authorization-server';
    if (request.url === '/jwks.json') response.end(JSON.stringify(issuer.keySet));
    else response.writeHead(isMetadata ? 200 : 404).end(JSON.stringify(metadata));
  };
  return issuer;
}

function withTokens(issuer: { readonly url: string; readonly jwksUri: string }, more: object = {}) {
  const inbound = { jwt: { issuer: issuer.url, jwksUri: issuer.jwksUri, ...more } };
  return {
    inbound,
    publicUrl: PUBLIC_URL,
    upstreams: [{ name: 'a', url: 'http://127.0.0.1:1/sse', legacy: false as const }],
  };
}

test('an issuer that is right', async () => {
  const issuer = await issuing();

  const found = await examined(withTokens(issuer));

  expect(found.of('issuer')).toEqual([`ok ${issuer.url}: its metadata are there, and agree`]);
  expect(found.of('keys')).toEqual([`ok ${issuer.jwksUri}: 1 of 1 can be used`]);
  expect(found.of('audience')).toEqual([`ok a: tokens for ${RESOURCE}`]);
  expect(found.of('metadata')).toEqual([
    expect.stringMatching(/^ok a: clients will read at https:\/\/mcp\.example\.com\/\.well-known/),
  ]);
  expect(found.of('clock')).toEqual([expect.stringMatching(/^ok: within/)]);
});

test('keys that are not to be had, an audience that clients do not ask for, another issuer in the metadata', async () => {
  const issuer = await issuing({ issuer: 'https://other.example' });

  const found = await examined(
    withTokens({ url: issuer.url, jwksUri: 'http://127.0.0.1:1/jwks' }, { audience: ['api://x'] }),
  );

  expect(found.result).toBe('failed');
  expect(found.of('keys')).toEqual([
    expect.stringMatching(/^failed http:\/\/127\.0\.0\.1:1\/jwks: cannot be read: ECONNREFUSED: no token/),
  ]);
  expect(found.of('audience')).toEqual([
    expect.stringMatching(/^warning a: tokens must be for api:\/\/x, and clients ask/),
  ]);
  expect(found.of('issuer')).toEqual([
    expect.stringMatching(/^failed .*: its metadata are of https:\/\/other\.example: write/),
  ]);
});

test('keys from a file, and metadata that nobody has', async () => {
  const issuer = await startIssuer();
  issuer.answering = (_, response) => void response.writeHead(404).end();
  const jwksFile = file(JSON.stringify(issuer.keySet), 'jwks.json');
  const config = withTokens(issuer);

  const found = await examined({ ...config, inbound: { jwt: { issuer: issuer.url, jwksFile } } });

  expect(found.of('keys')).toEqual([`ok ${jwksFile}: 1 of 1 can be used`]);
  expect(found.of('issuer')).toEqual([expect.stringMatching(/^warning .*: no metadata: HTTP 404: clients must/)]);
});

test.each([
  ['ahead', 600_000, /^failed 127\.0\.0\.1:\d+: 600 s ahead of ours: its tokens may be refused/],
  ['behind', -600_000, /^failed 127\.0\.0\.1:\d+: 600 s behind ours: its tokens may be refused/],
])('an issuer whose clock is ten minutes %s', async (_, offMs, expected) => {
  const issuer = await startIssuer();
  issuer.answering = (__, response) => {
    // Floored to a second, as a header is, and half a second is what doctor adds.
    response.setHeader('date', new Date(Date.now() + offMs).toUTCString()).end(JSON.stringify(issuer.keySet));
  };

  const found = await examined(withTokens(issuer));

  expect(found.of('clock')).toEqual([expect.stringMatching(expected)]);
});

test('what a cache has kept for ten minutes says nothing of its clock', async () => {
  const issuer = await startIssuer();
  issuer.answering = (_, response) => {
    const then = new Date(Date.now() - 600_000).toUTCString();
    response.setHeader('date', then).setHeader('age', '600').end(JSON.stringify(issuer.keySet));
  };

  expect((await examined(withTokens(issuer))).of('clock')).toEqual([expect.stringMatching(/^ok: within/)]);
});

test('the document that clients read, asked of the gateway that runs', async () => {
  const issuer = await issuing();
  const front = await answering((path, response) => {
    if (path === '/healthz') response.end('{"status":"ok"}');
    else response.end(JSON.stringify({ resource: 'https://elsewhere.example/mcp', authorization_servers: [] }));
  });
  const config = { ...withTokens(issuer), publicUrl: `http://127.0.0.1:${front}`, listen: { port: front } };

  const found = await examined(config);

  expect(found.of('metadata')).toEqual([
    expect.stringMatching(
      /^failed a: \S+\/\.well-known\/oauth-protected-resource\/mcp is about https:\/\/elsewhere\.example\/mcp and not/,
    ),
  ]);
});

test('a server that wants the credential of a caller is fine where callers bring it', async () => {
  const upstreams = async (status: number) => {
    const port = await answering((_, response) => void response.writeHead(status).end());
    return [{ url: `http://127.0.0.1:${port}/sse`, outbound: { forward: ['authorization'] } }];
  };

  const [closed, broken] = [
    await examined({ upstreams: await upstreams(401) }),
    await examined({ upstreams: await upstreams(500) }),
  ];

  expect(closed.of('upstream')).toEqual(['ok default: answers, and wants the credential of a caller']);
  expect(broken.of('upstream')).toEqual([expect.stringMatching(/^failed default: /)]);
});

test('what serve warns of is a warning here, with what to do', async () => {
  const found = await examined({
    listen: { host: '0.0.0.0', port: 0 },
    upstreams: [{ url: 'http://127.0.0.1:1/sse' }],
  });

  expect(found.of('exposure')).toEqual([
    expect.stringMatching(/^warning 0\.0\.0\.0: bound to a public address.*: let in only callers you know/),
  ]);
});

test('nobody who is silent, and no name that nobody answers for, holds it up: its time is an end', async () => {
  const silent = await portOf(createTcpServer((socket) => void socket.resume().on('error', () => {})));
  const muted = await legacyServer({ endpoint: () => [] });
  const upstreams = [
    { name: 'silent', path: '/a', url: `http://127.0.0.1:${silent}/sse` },
    { name: 'tls', path: '/b', url: `https://127.0.0.1:${silent}/sse` },
    { name: 'muted', path: '/c', url: muted.url.href },
    { name: 'unknown', path: '/d', url: 'http://no-such-host.invalid/sse' },
  ];

  const found = await examined(
    { ...withTokens({ url: `http://127.0.0.1:${silent}`, jwksUri: `http://127.0.0.1:${silent}/jwks` }), upstreams },
    600,
  );

  expect(found.of('upstream')).toEqual([
    expect.stringMatching(/^failed silent: not open in time, without an answer to its GET: .*--timeout$/),
    expect.stringMatching(/^failed tls: not open in time/),
    expect.stringMatching(/^failed muted: not open in time, without an endpoint event/),
    expect.stringMatching(/^failed unknown: its name does not resolve: see dns$/),
  ]);
  expect(found.of('dns')).toContainEqual(expect.stringMatching(/^failed no-such-host\.invalid: /));
  expect(found.of('keys')).toEqual([expect.stringMatching(/^failed .*: no answer in time: /)]);
  expect(found.of('issuer')).toEqual([expect.stringMatching(/^warning .*no answer in time/)]);
});

test('a server that calls itself by what it was sent, and draws on the terminal, does neither', async () => {
  const server = await legacyServer();
  const { behaviour } = server;
  Object.assign(behaviour, { serverInfo: { name: '\u001b[2Js3cret-key\npassw0rd', version: 'tok3n-in-query' } });

  const url = `http://user:passw0rd@${server.url.host}/sse?access=tok3n-in-query`;
  const found = await examined({ upstreams: [{ url, headers: { 'x-key': 's3cret-key' } }] });

  expect(JSON.stringify(found)).not.toMatch(/s3cret-key|passw0rd|tok3n|\\u001b/);
});

test('what is wrong with the configuration comes as errors, and nothing is looked at', async () => {
  const found = await examined({ upstreams: [{ url: 'nowhere' }] });

  expect(found).toMatchObject({ result: 'invalid', findings: [] });
  expect(found.errors).toEqual([expect.objectContaining({ key: 'upstreams[0].url', line: 1 })]);
});

test('the published schema describes all that is said', async () => {
  const schema: object = JSON.parse(readFileSync(join(import.meta.dirname, '../../config/doctor.schema.json'), 'utf8'));
  const validate = new Ajv2020({ strict: true }).compile(schema);
  const server = await legacyServer();
  const reports = [
    await examined(withTokens(await issuing())),
    await examined({ upstreams: [{ url: server.url.href }] }),
    await examined({ upstreams: [{ url: 'nowhere' }] }),
  ];

  for (const { of: _, ...report } of reports) expect([validate(report), validate.errors]).toEqual([true, null]);
  expect(validate({ ...reports[0], result: 'fine' })).toBe(false);
});
