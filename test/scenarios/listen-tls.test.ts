// TLS toward clients: what is spoken, and a certificate that is renewed while calls run.

import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlainly } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Gateway, type GatewayConfig, JSON_HEADERS, gatewayBefore, requestBytes } from '../support/gateway.ts';
import { file, run } from '../verbs/program.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/tls');
const BEFORE = 'somebody-else.example';
const AFTER = 'renewed';

interface Files {
  readonly tls: { readonly cert: string; readonly key: string };
  /** Names of fixtures, or `text:` and what is to be in the file. */
  readonly put: (cert: string, key: string) => void;
}

function files(): Files {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const write = (from: string, to: string): void => {
    if (from.startsWith('text:')) writeFileSync(to, from.slice('text:'.length));
    else copyFileSync(join(FIXTURES, from), to);
    chmodSync(to, 0o600);
  };
  const made: Files = {
    tls: { cert, key },
    put(ofCert: string, ofKey: string) {
      write(ofCert, cert);
      write(ofKey, key);
    },
  };
  made.put('cert.pem', 'key.pem');
  return made;
}

interface Connection {
  /** Of the certificate that was shown. */
  readonly name: string;
  readonly protocol: string | null;
  /** Sends one request and resolves with all that has come, once it holds this part. */
  request(bytes: string, until: string): Promise<string>;
}

/** Rejects when no TLS comes about. */
async function secureConnection(origin: string, options: ConnectionOptions = {}): Promise<Connection> {
  const port = Number(new URL(origin).port);
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(5000) });
  socket.setEncoding('utf8');
  return {
    name: String(socket.getPeerCertificate().subject.CN),
    protocol: socket.getProtocol(),
    async request(bytes, until) {
      socket.write(bytes);
      let all = '';
      while (!all.includes(until))
        all += String((await once(socket, 'data', { signal: AbortSignal.timeout(5000) }))[0]);
      return all;
    },
  };
}

function callBytes(name: string, id: number): string {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: { a: 1, b: 2 } },
  });
  const headers = Object.entries({ host: 'localhost', ...JSON_HEADERS, 'content-length': String(body.length) });
  return requestBytes('POST', '/mcp', headers, body);
}

const shownBy = async (gateway: Gateway, origin = gateway.origin): Promise<string> =>
  (await secureConnection(origin)).name;

async function secureGateway(config: GatewayConfig = {}) {
  const { tls, put } = files();
  const started = await gatewayBefore({}, { tls, ...config });
  return { tls, put, ...started };
}

describe('what is spoken', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is', async (version) => {
    const { gateway } = await secureGateway();

    const client = await secureConnection(gateway.origin, { minVersion: version, maxVersion: version });

    expect([client.name, client.protocol]).toEqual([BEFORE, version]);
    expect(await client.request(callBytes('add', 1), '"id":1')).toMatch(/^HTTP\/1\.1 200 [\s\S]*"text":"3"/);
  });

  test('TLS 1.1 is not, nor plain HTTP; whoever tries is let go, and the journal says why', async () => {
    const { gateway } = await secureGateway();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;

    await expect(secureConnection(gateway.origin, old)).rejects.toThrow(/version/);
    const plain = connectPlainly(Number(new URL(gateway.origin).port), '127.0.0.1');
    plain.on('error', () => {}).resume();
    plain.write(callBytes('add', 1));
    await once(plain, 'close', { signal: AbortSignal.timeout(5000) });
    await gateway.journal.until(
      (fact) => fact.fact === 'refused' && `${(fact.cause as { code?: string }).code}` === 'ERR_SSL_HTTP_REQUEST',
    );

    const why = 'no TLS connection came about';
    expect(gateway.journal.of('refused')).toMatchObject([{ why }, { why }]);
  });

  test('who says nothing is let go after timeouts.clientHeaders', async () => {
    const { gateway } = await secureGateway({ timeouts: { clientHeaders: '100ms' } });
    const silent = connectPlainly(Number(new URL(gateway.origin).port), '127.0.0.1');
    silent.on('error', () => {}).resume();

    await once(silent, 'close', { signal: AbortSignal.timeout(5000) });
  });

  test('who says nothing keeps no listener from its end', async () => {
    const admin = { port: 0, tls: files().tls };
    const { gateway } = await secureGateway({ admin, timeouts: { clientHeaders: '60s' } });
    const closed: Promise<unknown>[] = [];
    for (const origin of [gateway.origin, gateway.adminOrigin]) {
      const silent = connectPlainly(Number(new URL(origin).port), '127.0.0.1');
      onTestFinished(() => void silent.destroy());
      closed.push(once(silent.on('error', () => {}).resume(), 'close', { signal: AbortSignal.timeout(10_000) }));
      // Taken after it, and both stay.
      // oxlint-disable-next-line no-await-in-loop -- one listener after the other
      const other = await secureConnection(origin);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await other.request(requestBytes('GET', '/healthz', [['host', 'localhost']]), '"ok"');
    }

    await Promise.all([gateway.close(), ...closed]);
  });
});

describe('a renewed certificate', () => {
  test('is shown from the next reload on, while what is connected and runs stays', async () => {
    const { gateway, upstream, tls, put } = await secureGateway();
    const earlier = await secureConnection(gateway.origin);
    const running = earlier.request(callBytes('slow', 1), '"id":1');
    const slow = await upstream.nextCall('slow');

    put('renewed.pem', 'renewed-key.pem');
    const unchanged = await shownBy(gateway);
    await gateway.reload({ tls });
    const renewed = await shownBy(gateway);
    slow.release();

    expect([unchanged, renewed]).toEqual([BEFORE, AFTER]);
    expect(await running).toMatch(/^HTTP\/1\.1 200 /);
    expect(await earlier.request(callBytes('add', 2), '"id":2')).toContain('"text":"3"');
    expect(gateway.journal.of('certificate_renewed')).toMatchObject([{ section: 'listen' }]);
  });

  test('is shown by the listener for whoever runs the gateway too', async () => {
    const [{ tls }, own] = [files(), files()];
    const config = { tls, admin: { port: 0, tls: own.tls } };
    const { gateway } = await gatewayBefore({}, config);
    const before = await shownBy(gateway, gateway.adminOrigin);

    own.put('renewed.pem', 'renewed-key.pem');
    gateway.rewrite(config);
    const admin = await secureConnection(gateway.adminOrigin);
    const said = await admin.request(requestBytes('POST', '/-/reload', [['host', 'localhost']]), '"kept"');

    expect(said).toMatch(/^HTTP\/1\.1 200 /);
    expect([before, await shownBy(gateway, gateway.adminOrigin), await shownBy(gateway)]).toEqual([
      BEFORE,
      AFTER,
      BEFORE,
    ]);
    expect(gateway.journal.of('certificate_renewed')).toMatchObject([{ section: 'admin' }]);
  });

  test.each([
    [
      'a key of another certificate',
      'renewed.pem',
      'key.pem',
      /listen\.tls\.key: \S+tls\.key is not the key of \S+tls\.crt/,
    ],
    ['no certificate', 'text:hello', 'key.pem', /listen\.tls\.cert: \S+tls\.crt holds no certificate in PEM form/],
    ['half a certificate', 'text:-----BEGIN CERTIFICATE-----\nMIIB', 'key.pem', /tls\.crt cannot be used \(\w+\)/],
    ['no key', 'renewed.pem', 'text:', /tls\.key holds no private key in PEM form/],
    [
      'an encrypted key',
      'renewed.pem',
      'encrypted-key.pem',
      /tls\.key is encrypted: give the key without a passphrase/,
    ],
  ])('%s changes nothing, and the file is named with what is wrong', async (_, cert, key, why) => {
    const { gateway, tls, put } = await secureGateway();

    put(cert, key);

    await expect(gateway.reload({ tls, limits: { sessions: 5 } })).rejects.toThrow(why);
    expect(await shownBy(gateway)).toBe(BEFORE);
    expect(gateway.journal.of('reload_failed')).toMatchObject([{ why: expect.stringMatching(why) }]);
  });
});

describe('the program', () => {
  const withTls = ({ tls: { cert, key } }: Files): string[] => [`--listen-tls-cert=${cert}`, `--listen-tls-key=${key}`];

  test('names its https address, is healthy, and has certificates renewed by SIGHUP without any file of a configuration', async () => {
    const used = files();
    chmodSync(used.tls.key, 0o644);
    const program = run('http://127.0.0.1:9/sse', '--listen=127.0.0.1:0', '--log-format=json', ...withTls(used));
    const [, origin = ''] = await program.says(/"endpoint":"(https:\/\/127\.0\.0\.1:\d+)\/mcp"/);
    const health = run('healthcheck', `--listen=${new URL(origin).host}`, ...withTls(used));

    expect(await health.ended).toBe(0);
    await program.says(/"file":"[^"]*tls\.key","msg":"every user of this machine may read/);
    used.put('renewed.pem', 'renewed-key.pem');
    program.child.kill('SIGHUP');
    await program.says(/"section":"listen","validTo":"2\d\d\d-[^}]*"certificate renewed"/);
    expect((await secureConnection(origin)).name).toBe(AFTER);
    program.child.kill('SIGTERM');
    expect(await program.ended).toBe(0);
  });

  test('does not start, nor passes a check, with files that cannot be used', async () => {
    const { tls } = files();
    rmSync(tls.key);
    const path = file(
      `upstreams: [ { url: http://a/sse } ]\nlisten: { tls: { cert: ${tls.cert}, key: ${tls.key} } }\n`,
    );

    const programs = [run('serve', '-c', path), run('check', '-c', path)];

    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([3, 3]);
    for (const { stderr } of programs) {
      expect(stderr()).toMatch(/^listen\.tls\.key: \S+tls\.key cannot be read: there is no such file/);
    }
  });

  test('shows its demo over TLS', async () => {
    const program = run('demo', '--once', '--listen=127.0.0.1:0', ...withTls(files()));

    expect(await program.ended).toBe(0);
    expect(program.stdout()).toMatch(/POST https:\/\/127\.0\.0\.1:\d+\/mcp[\s\S]*HTTP 200/);
  });
});
