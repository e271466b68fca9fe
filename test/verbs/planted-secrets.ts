// The built program with secrets wherever one can be, and everything that can be provoked with them. What comes out of it
// (both streams, metrics, status, answers to reloads, errors that clients get) is collected, to be searched for them.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type RequestListener, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startLegacyServer } from '../support/legacy-server.ts';
import { file, runWith } from './program.ts';

/** Each is found by the same pattern, and says where it was. */
const plants: string[] = [];
const plant = (where: string): string => {
  const text = `pl4nt-${plants.length}-${where}`;
  plants.push(text);
  return text;
};
const VARIABLE = { SECRET: plant('variable'), BASIC: plant('basic'), SPARE: plant('default-not-taken') };
const IN_FILES = { key: plant('file'), at: plant('at-file') };
const OF_CONFIG = {
  user: plant('user'),
  password: plant('password'),
  query: plant('query'),
  literal: plant('literal-header'),
  downUser: plant('user-of-a-dead-server'),
  downQuery: plant('query-of-a-dead-server'),
  tls: plant('password-of-a-tls-server'),
  moved: plant('password-of-a-moved-server'),
  odd: plant('query-of-an-odd-server'),
  message: plant('query-of-message-url'),
  admin: plant('admin-token'),
};
const OF_SERVER = {
  header: plant('response-header'),
  cookie: plant('response-cookie'),
  body: plant('response-body'),
  location: plant('redirect'),
  challenge: plant('challenge'),
  endpoint: plant('endpoint'),
  result: plant('result'),
  error: plant('error-of-a-tool'),
  log: plant('log-message'),
  broken: plant('unreadable-message'),
  session: plant('session-of-the-server'),
};
const OF_CLIENT = {
  key: plant('bearer-key'),
  wrongKey: plant('wrong-key'),
  cookie: plant('cookie'),
  header: plant('request-header'),
  query: plant('query-of-a-client'),
  argument: plant('argument'),
  brokenBody: plant('broken-body'),
  batch: plant('batch'),
  sessionId: plant('forged-session'),
  eventId: plant('forged-event'),
  post: plant('forged-endpoint'),
  uri: plant('query-of-a-resource'),
  userinfo: plant('userinfo-of-a-resource'),
  meta: plant('meta'),
  proxy: plant('proxy-authorization'),
};
const MISPLACED = {
  key: plant('key-name'),
  value: plant('value'),
  path: plant('at-path'),
  flag: plant('flag'),
  word: plant('word'),
  listen: plant('listen'),
  thrown: plant('thrown'),
};
/** Of the key, as the configuration has it; and the user with his password, as they are sent. */
const DIGEST = createHash('sha256').update(OF_CLIENT.key).digest('hex');
const BASIC = Buffer.from(`${OF_CONFIG.user}:${OF_CONFIG.password}`).toString('base64');

export const PLANTED: readonly string[] = plants;
export interface Said {
  /** What the operator and everybody who reads his logs sees. */
  readonly program: string;
  /** Errors that clients got. */
  readonly errors: string;
  /** Secrets that only came to be while it ran. */
  readonly fresh: readonly string[];
  /** The exit code, after the fault. */
  readonly code: number | null;
}

/** Those of `secrets` and of all that were planted that are in a text. */
export function foundIn(text: string, secrets: readonly string[] = []): string[] {
  return [...PLANTED, DIGEST, BASIC, ...secrets].filter((secret) => text.toLowerCase().includes(secret.toLowerCase()));
}

/** Of the operator and the server: what no client may be told. */
export function foundInErrors(text: string): string[] {
  const theirs = [VARIABLE, IN_FILES, OF_CONFIG, OF_SERVER].flatMap((group) => Object.values(group));
  return [...theirs, DIGEST, BASIC].filter((secret) => text.includes(secret));
}

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const WAIT_MS = 10_000;

export async function tellEverything(level: string, format: string): Promise<Said> {
  const config = await configFile();
  // A fault of ours cannot be had by asking, so one is put in.
  const thrower = `process.on('SIGUSR2', () => { throw Object.assign(new Error('${MISPLACED.thrown}'), { x: '${MISPLACED.thrown}' }); });`;
  const flags = ['--listen=127.0.0.1:0', '--admin=127.0.0.1:0', `--log-level=${level}`, `--log-format=${format}`];
  const preloaded = { ...VARIABLE, NODE_OPTIONS: `--import=${file(thrower, 'thrower.mjs')}` };
  const program = runWith(preloaded, 'serve', '-c', config, ...flags);
  const [origin] = /http:\/\/127\.0\.0\.1:\d+/.exec((await program.says(/http:\/\/127\.0\.0\.1:\d+\/main/))[0]) ?? [''];
  const [, admin = ''] = await program.says(/"?admin"?: ?"(http:\/\/127\.0\.0\.1:\d+)"/);
  const errors: string[] = [];
  const fresh: string[] = [];
  await clientsCall(origin, errors, fresh);
  const seen = await operatorLooks(admin, config);
  program.child.kill('SIGUSR2');
  const code = await program.ended;
  return { program: [program.stdout(), program.stderr(), seen].join('\n'), errors: errors.join('\n'), fresh, code };
}

/** What is said of command lines that are refused, and of configurations that are looked at. */
export async function tellRefusals(): Promise<string> {
  const config = await configFile();
  const said = await Promise.all([...refusedLines(config), ...checks(config)].map(ended));
  return said.join('\n');
}

async function configFile(): Promise<string> {
  const main = await startLegacyServer({
    endpoint: (id) => [`/messages?sessionId=${id}&s=${OF_SERVER.session}`],
    // It calls itself by what it is sent.
    serverInfo: { name: `${VARIABLE.SECRET} ${BASIC}`, version: `${OF_CONFIG.password} ${OF_CONFIG.query}` },
    tools: {
      leak(call) {
        call.notify('notifications/message', { level: 'error', data: OF_SERVER.log });
        return { content: [{ type: 'text', text: OF_SERVER.result }] };
      },
      fail() {
        throw new Error(OF_SERVER.error);
      },
    },
    post: ({ method, params }) =>
      method === 'tools/call' && params?.['name'] === 'refuse'
        ? {
            status: 400,
            body: OF_SERVER.body,
            headers: { 'x-of-server': OF_SERVER.header, 'set-cookie': OF_SERVER.cookie },
          }
        : 'accepted',
    // Before anybody asks: dropped, which is a line of the log.
    greeting: [
      { jsonrpc: '1.0', [OF_SERVER.broken]: 1 },
      { jsonrpc: '2.0', id: OF_SERVER.broken, result: {} },
    ],
  });
  onTestFinished(() => main.close());
  const moved = await listening((_, response) => {
    response
      .writeHead(307, { location: `http://127.0.0.1:1/${OF_SERVER.location}`, 'set-cookie': OF_SERVER.cookie })
      .end();
  });
  const closed = await listening((_, response) => {
    const challenge = `Bearer realm="${OF_SERVER.challenge}"`;
    response.writeHead(401, { 'www-authenticate': challenge, 'x-of-server': OF_SERVER.header }).end(OF_SERVER.body);
  });
  const odd = await listening((_, response) => {
    const events = `: ${OF_SERVER.broken}\n\nevent: endpoint\ndata: http://${OF_SERVER.endpoint}.example/m\n\n`;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(events);
  });
  const folder = join(import.meta.dirname, '../fixtures/tls');
  const tls = createTlsServer({
    key: readFileSync(join(folder, 'key.pem')),
    cert: readFileSync(join(folder, 'cert.pem')),
  });
  const tlsPort = await portOf(tls.listen(0, '127.0.0.1'));
  onTestFinished(() => void tls.close());
  const { user, password, query } = OF_CONFIG;
  return file(`
inbound: { bearer: { keys: [{ name: alice, sha256: ${DIGEST} }] } }
admin: { token: ${OF_CONFIG.admin} }
reconnect: { min: 10ms, max: 20ms }
upstreams:
  - name: main
    path: /main
    legacy: { sse: /sse, messages: /messages }
    url: http://${user}:${password}@${main.url.host}/sse?token=${query}
    headers:
      x-api-key: "\${SECRET}"
      x-basic: "Basic \${BASIC}"
      x-file: "\${file:${file(`${IN_FILES.key}\n`, 'key')}}"
      x-literal: ${OF_CONFIG.literal}
      x-spare: "\${NOT_SET:-${OF_CONFIG.literal}}"
  - name: dead
    path: /dead
    legacy: false
    url: http://${OF_CONFIG.downUser}:x@127.0.0.1:1/sse?key=${OF_CONFIG.downQuery}
    messageUrl: http://127.0.0.1:1/messages?k=${OF_CONFIG.message}
  - { name: tls, path: /tls, legacy: false, url: "https://u:${OF_CONFIG.tls}@127.0.0.1:${tlsPort}/sse" }
  - { name: moved, path: /moved, legacy: false, url: "http://u:${OF_CONFIG.moved}@127.0.0.1:${moved}/sse" }
  - { name: closed, path: /closed, legacy: false, url: "http://127.0.0.1:${closed}/sse?x=${OF_CONFIG.odd}" }
  - { name: odd, path: /odd, legacy: false, url: "http://127.0.0.1:${odd}/sse?x=${OF_CONFIG.odd}" }
`);
}

async function listening(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  onTestFinished(() => server.close().closeAllConnections());
  return portOf(server.listen(0, '127.0.0.1'));
}

async function portOf(server: ReturnType<typeof createServer>): Promise<number> {
  if (!server.listening) await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** `method`, `path`, what is sent beside the key of alice; errors are kept. */
async function clientsCall(origin: string, errors: string[], fresh: string[]): Promise<void> {
  const authorization = `Bearer ${OF_CLIENT.key}`;
  const sent = {
    authorization,
    cookie: `a=${OF_CLIENT.cookie}`,
    'x-of-client': OF_CLIENT.header,
    'proxy-authorization': `Basic ${OF_CLIENT.proxy}`,
  };
  const send = async (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> => {
    const response = await fetch(origin + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...JSON_HEADERS, ...sent, ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(WAIT_MS),
    });
    const isStream = response.headers.get('content-type') === 'text/event-stream' && body === undefined;
    if (response.status >= 400) errors.push(JSON.stringify([...response.headers]), await response.clone().text());
    else if (!isStream) await response.clone().text();
    return response;
  };
  const call = (name: string, args: object = {}): object => {
    const params = { name, arguments: args, _meta: { progressToken: OF_CLIENT.meta, x: OF_CLIENT.meta } };
    return { jsonrpc: '2.0', id: OF_CLIENT.meta, method: 'tools/call', params };
  };
  const clientInfo = { name: 'test', version: '1' };
  const initialize = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const opened = await send('/main', { jsonrpc: '2.0', id: 0, method: 'initialize', params: initialize });
  const session = opened.headers.get('mcp-session-id') ?? '';
  fresh.push(session);
  const inSession = { 'mcp-session-id': session };
  const stream = await send('/sse', undefined, { accept: 'text/event-stream' });
  const [endpoint = ''] = /\/messages\S*/.exec(await firstOf(stream)) ?? [];
  fresh.push(endpoint.slice(endpoint.search(/[?=/][^?=/]*$/) + 1));
  const uri = `https://u:${OF_CLIENT.userinfo}@files.example/x?token=${OF_CLIENT.uri}`;
  const refused = { 'mcp-session-id': OF_CLIENT.sessionId };
  await Promise.all([
    ...['leak', 'fail', 'refuse', 'none'].map((tool) =>
      send('/main', call(tool, { a: OF_CLIENT.argument }), inSession),
    ),
    ...['leak', 'refuse'].map((tool) => send('/main', call(tool, { a: OF_CLIENT.argument }))),
    ...['dead', 'tls', 'moved', 'closed', 'odd'].map((name) =>
      send(`/${name}`, call('leak', { a: OF_CLIENT.argument })),
    ),
    send('/main', { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri } }),
    send('/main', call('leak'), { authorization: `Bearer ${OF_CLIENT.wrongKey}` }),
    send(`/main?access_token=${OF_CLIENT.query}`, call('leak')),
    send('/main', `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"${OF_CLIENT.brokenBody}"`),
    send('/main', `{"jsonrpc":"2.0","id":1,"params":{"a":"${OF_CLIENT.brokenBody}"},"params":{}}`),
    send('/main', [call(OF_CLIENT.batch), call(OF_CLIENT.batch)]),
    send('/main', call('leak'), refused),
    send('/main', undefined, { ...inSession, 'last-event-id': OF_CLIENT.eventId }),
    send('/main', undefined, refused),
    send(`/messages?to=${OF_CLIENT.post}`, call('leak')),
    send(endpoint, { jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name: 'leak', arguments: {} } }),
    send('/nothing-here', call('leak')),
    send('/main', call('leak'), { 'content-type': `text/plain; x=${OF_CLIENT.header}` }),
    send('/main', call('leak'), { origin: `https://${OF_CLIENT.header}.example` }),
    send('/main', call('leak'), { 'mcp-protocol-version': OF_CLIENT.header }),
  ]);
  await stream.body?.cancel();
}

async function firstOf(stream: Response): Promise<string> {
  let text = '';
  for await (const piece of stream.body?.values({ preventCancel: true }) ?? []) {
    text += Buffer.from(piece as Uint8Array).toString();
    if (/messages\S*\n/.test(text)) break;
  }
  return text;
}

async function operatorLooks(admin: string, config: string): Promise<string> {
  const ask = async (path: string, method = 'GET', accept = '*/*'): Promise<string> => {
    const headers = { authorization: `Bearer ${OF_CONFIG.admin}`, accept };
    const response = await fetch(admin + path, { method, headers, signal: AbortSignal.timeout(WAIT_MS) });
    return `${response.status} ${await response.text()}`;
  };
  const good = readFileSync(config, 'utf8');
  const said = [await ask('/metrics'), await ask('/status'), await ask('/-/reload', 'POST')];
  for (const text of broken(good)) {
    writeFileSync(config, text);
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    said.push(await ask('/-/reload', 'POST'));
  }
  writeFileSync(config, good);
  said.push(await ask(`/${OF_CLIENT.query}`), await ask('/metrics'), await ask('/status'));
  said.push(await ask('/', 'GET', 'text/html'));
  return said.join('\n');
}

/** Files that are refused, each with secrets where none belongs. */
function broken(good: string): string[] {
  return [
    good.replace('x-api-key', `${MISPLACED.key}: x\n      x-api key`),
    good.replace('path: /main', `path: ${MISPLACED.value}\n    ${MISPLACED.key}: ${MISPLACED.value}`),
    good.replace('headers:', 'hedders:'),
    good.replace('reconnect:', `"${MISPLACED.value}": [\nreconnect:`),
    good.replace('min: 10ms', `min: ${MISPLACED.value}`),
    good.replace('url: http://', 'url: htp:/'),
    good.replace('path: /main', 'path: "${SECRET}"\n    messageUrl: "${SECRET}"'),
    `${good}allowedHosts: ["https://\${SECRET}/", "\${file:/${'no/such.file'}}"]\n`,
  ];
}

const URL_OF_NOBODY = 'http://127.0.0.1:1/sse';

function refusedLines(config: string): string[][] {
  return [
    [URL_OF_NOBODY, '--header', `authorization=${MISPLACED.flag}`],
    [URL_OF_NOBODY, '--header', `x-odd=@${MISPLACED.path}`],
    [URL_OF_NOBODY, '--header', `x-odd=\${${MISPLACED.flag}}`],
    [URL_OF_NOBODY, '--header', MISPLACED.flag],
    [URL_OF_NOBODY, '--log-level', MISPLACED.flag],
    [URL_OF_NOBODY, `--token=${MISPLACED.flag}`],
    [URL_OF_NOBODY, '--listen', MISPLACED.listen],
    [URL_OF_NOBODY, '--timeouts-request', MISPLACED.flag],
    [URL_OF_NOBODY, '--upstreams-name', MISPLACED.flag],
    [`http://u:${MISPLACED.word}@127.0.0.1:1/sse?x=${MISPLACED.word}#x`],
    [`htp://u:${MISPLACED.word}@127.0.0.1:1/sse?x=${MISPLACED.word}`],
    [MISPLACED.word],
    ['serve', MISPLACED.word],
    ['serve', '-c', config, '--header', `x-odd=${VARIABLE.SECRET}`],
  ];
}

function checks(config: string): string[][] {
  const good = readFileSync(config, 'utf8');
  const at = file(IN_FILES.at, 'at');
  return [
    ['check', '-c', config, '--print-effective'],
    ['check', '-c', config, '--print-effective', '--json'],
    [
      'check',
      '--upstream',
      `http://u:${OF_CONFIG.password}@a/sse?x=${OF_CONFIG.query}`,
      '--print-effective',
      '--header',
      `x-at=@${at}`,
    ],
    ...['--json', '--yaml'].map((output) => [
      'probe',
      `http://u:${OF_CONFIG.password}@127.0.0.1:1/sse?x=${OF_CONFIG.query}`,
      output,
      '--header',
      `x-at=@${at}`,
    ]),
    ...broken(good).map((text) => ['check', '-c', file(text), '--json']),
    ['doctor', '-c', config],
    ['doctor', '-c', config, '--json', '--header', `x-at=@${at}`],
    ['doctor', `http://u:${OF_CONFIG.password}@127.0.0.1:1/sse?token=${OF_CONFIG.query}`],
    ...broken(good).map((text) => ['doctor', '-c', file(text), '--json']),
  ];
}

async function ended(args: readonly string[]): Promise<string> {
  const program = runWith(VARIABLE, ...args);
  await program.ended;
  return program.stdout() + program.stderr();
}
