// The profile `replicas` as it would run: the real nginx and the real Redis with what the files say, three programs, and nothing
// but addresses changed.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { PATH, output, takes } from '../support/installed.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { type Scrape, readScrape } from '../support/prometheus.ts';
import { type Program, file, runWith } from '../verbs/program.ts';
import { NGINX, PROXY, REPLICAS, SECRET_FILES, serviceOf } from './replicas.ts';

const WAIT_MS = 20_000;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'causeway-replicas-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** As it is, but with addresses of this machine and files of a folder. */
function nginxHere(place: string, port: number, replicas: readonly number[]): string {
  const named = REPLICAS.reduce(
    (text, [name], at) => text.replace(`server ${name}:8080`, `server 127.0.0.1:${replicas[at]}`),
    NGINX,
  );
  const file = join(place, 'nginx.conf');
  writeFileSync(file, named.replaceAll('/tmp/', `${place}/`).replace('listen 8080', `listen 127.0.0.1:${port}`));
  return file;
}

test('nginx reads its configuration, and warns of nothing', (context) => {
  takes(context, 'nginx');
  const place = folder();

  const said = output('sh', ['-c', `nginx -t -e stderr -p ${place} -c ${nginxHere(place, 1, [2, 3, 4])} 2>&1`]);

  expect(said.trim().split('\n')).toEqual([
    expect.stringMatching(/syntax is ok$/),
    expect.stringMatching(/test is successful$/),
  ]);
});

/** Until the test is over. */
function started(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { env: { ...process.env, PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  child.stderr.resume();
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return child;
}

async function listening(port: number): Promise<void> {
  const isOpen = await eventually(WAIT_MS, async () => {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return null;
    } finally {
      socket.destroy();
    }
  });
  if (isOpen === null) throw new Error(`nobody listens on ${port}`);
}

interface Replica {
  readonly program: Program;
  /** Runs another command with what it was started with. */
  also(...args: readonly string[]): Program;
  scrape(): Promise<Scrape>;
}

interface Profile {
  readonly endpoint: string;
  readonly upstream: LegacyServer;
  readonly replicas: readonly Replica[];
}

async function running(): Promise<Profile> {
  const place = folder();
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const secrets = Object.entries(SECRET_FILES).map(([path, text]) => [path, file(text, 'secret')] as const);
  const moved = (text: string): string => secrets.reduce((done, [from, to]) => done.replaceAll(from, to), text);

  const redisPort = await freePort();
  const [shell = '', flag = '', script = ''] = serviceOf('redis').command ?? [];
  const here = script
    .replaceAll('$$', '$')
    .replace('redis-server -', `redis-server - --port ${redisPort} --bind 127.0.0.1`);
  started(shell, [flag, moved(here)]);
  await listening(redisPort);

  const ports = await Promise.all(
    REPLICAS.map(async ([name]) => ({ name, port: await freePort(), peers: await freePort() })),
  );
  const named = ports.reduce((text, { name, peers }) => text.replaceAll(`${name}:8082`, `127.0.0.1:${peers}`), PROXY);
  const yaml = file(
    moved(named)
      .replace('http://old-server:9001', upstream.url.origin)
      .replace('@redis:6379', `@127.0.0.1:${redisPort}`),
  );
  const replicas = await Promise.all(
    ports.map(async ({ port, peers }): Promise<Replica> => {
      const env = {
        CAUSEWAY_CONFIG: yaml,
        CAUSEWAY_LISTEN: `127.0.0.1:${port}`,
        CAUSEWAY_ADMIN: '127.0.0.1:0',
        CAUSEWAY_PEERS_HOST: '127.0.0.1',
        CAUSEWAY_PEERS_PORT: String(peers),
        CAUSEWAY_PEERS_SELF: `127.0.0.1:${peers}`,
        CAUSEWAY_LOG_FORMAT: 'json',
      };
      const program = runWith(env);
      await program.says(/"upstream reached"/);
      const [, admin = ''] = await program.says(/"admin":"(http:[^"]+)"/);
      return {
        program,
        also: (...args) => runWith(env, ...args),
        scrape: async () => readScrape(await (await fetch(`${admin}/metrics`)).text()),
      };
    }),
  );

  const port = await freePort();
  const configuration = nginxHere(
    place,
    port,
    ports.map((each) => each.port),
  );
  started('nginx', ['-e', 'stderr', '-p', place, '-c', configuration, '-g', 'daemon off;']);
  await listening(port);
  return { endpoint: `http://127.0.0.1:${port}/mcp`, upstream, replicas };
}

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

function posted(endpoint: string, message: object, session?: string): Promise<Response> {
  return fetch(endpoint, {
    method: 'POST',
    headers: { ...JSON_HEADERS, ...(session !== undefined && { 'mcp-session-id': session }) },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    signal: AbortSignal.timeout(WAIT_MS),
  });
}

async function opened(endpoint: string): Promise<string> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const response = await posted(endpoint, { id: 1, method: 'initialize', params });
  const session = response.headers.get('mcp-session-id') ?? '';
  await response.text();
  await posted(endpoint, { method: 'notifications/initialized' }, session);
  return session;
}

async function counted(endpoint: string, session: string, id: number): Promise<unknown> {
  const response = await posted(
    endpoint,
    { id, method: 'tools/call', params: { name: 'count', arguments: {} } },
    session,
  );
  const { result, error } = (await response.json()) as { result?: { content: { text: string }[] }; error?: unknown };
  return result?.content[0]?.text ?? error;
}

const ROUNDS = 9;

test('requests of one session go to all three in turn, and each is answered by the one that has it', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const { endpoint, replicas } = await running();
  const session = await opened(endpoint);

  const answers: unknown[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (let id = 1; id <= ROUNDS; id++) answers.push(await counted(endpoint, session, id));

  // Of the session's own connection to the server: nowhere else is it counted on.
  expect(answers).toEqual(Array.from({ length: ROUNDS }, (_, index) => String(index + 1)));
  const hops = await Promise.all(
    replicas.map(async (replica) => (await replica.scrape()).sum('causeway_hops_total', { outcome: 'served' })),
  );
  expect(hops.filter((each) => each === 0).length).toBe(1);
  expect(Math.min(...hops.filter((each) => each > 0))).toBeGreaterThanOrEqual(ROUNDS / REPLICAS.length);
});

test('an event is with its client before there is another one', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const { endpoint, upstream } = await running();
  const session = await opened(endpoint);
  const params = { name: 'slow', arguments: {}, _meta: { progressToken: 1 } };

  for (const _ of REPLICAS) {
    // oxlint-disable-next-line no-await-in-loop -- over one replica after the other
    const coming = posted(endpoint, { id: 7, method: 'tools/call', params }, session);
    // oxlint-disable-next-line no-await-in-loop
    const call = await upstream.nextCall('slow');
    call.progress(1, 2);
    // oxlint-disable-next-line no-await-in-loop
    const reader = (await coming).body?.pipeThrough(new TextDecoderStream()).getReader();
    // Nginx has no more of it, and the tool is not done.
    // oxlint-disable-next-line no-await-in-loop
    expect((await reader?.read())?.value).toContain('"progress":1');
    call.release();
    // oxlint-disable-next-line no-await-in-loop
    expect((await reader?.read())?.value).toContain('"done"');
    // oxlint-disable-next-line no-await-in-loop
    await reader?.cancel();
  }
});

test('one that is gone is passed over, and its sessions go on with the others', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const { endpoint, replicas } = await running();
  // One for each, as they are taken in turn.
  const sessions = [await opened(endpoint), await opened(endpoint), await opened(endpoint)];
  const [owner] = replicas;

  owner?.program.child.kill('SIGKILL');
  await owner?.program.ended;
  const answers = new Map<string, unknown[]>(sessions.map((session) => [session, []]));
  for (let id = 1; id <= ROUNDS; id++) {
    const session = sessions[id % sessions.length] ?? '';
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    answers.get(session)?.push(await counted(endpoint, session, id));
  }

  // That of the owner by another one, with a connection of its own: what was kept of the session opened it.
  expect([...answers.values()]).toEqual(sessions.map(() => ['1', '2', '3']));
});

test('doctor finds the other two, and the store, from where one of them runs', async (context) => {
  takes(context, 'nginx', 'redis-server');
  const { replicas } = await running();

  const doctor = replicas[0]?.also('doctor');
  expect([await doctor?.ended, doctor?.stderr()]).toEqual([0, '']);

  const lines = doctor?.stdout().split('\n') ?? [];
  const of = (check: string): string[] => lines.filter((line) => line.includes(` ${check}`));
  expect(of('peers ')).toEqual(REPLICAS.slice(1).map(() => expect.stringMatching(/^ok +peers .*: answers in \d+ ms$/)));
  expect(of('store')).toContainEqual(expect.stringMatching(/^ok +store: Redis .*, answers in \d+ ms; a restart of it/));
  for (const section of ['address listen', 'address peers'])
    expect(of(section)).toEqual([expect.stringMatching(/^warning .* in use by a gateway that lives/)]);
});
