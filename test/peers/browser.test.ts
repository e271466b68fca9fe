// A real browser: what a page may do is for it to decide, by what the gateway tells it.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { type LegacyServer, startLegacyServer } from '../support/legacy-server.ts';
import { startChromium } from './support/chromium.ts';
import { listenOnLoopback } from './support/loopback.ts';

const WAIT_MS = 60_000;

interface Page {
  readonly origin: string;
  /** Runs this in a browser, as a module of a page of the origin, and resolves with what it returns, or with its error. */
  run(script: string): Promise<unknown>;
}

/** A page that can be opened once. */
async function page(): Promise<Page> {
  const told = Promise.withResolvers<unknown>();
  let script = '';
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      void text(request).then((said) => told.resolve(JSON.parse(said)));
      response.end();
      return;
    }
    const run = `const tell = (what) => fetch('/', { method: 'POST', body: JSON.stringify(what) });
      (async () => { ${script} })().then(tell, (error) => tell(String(error)));`;
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end(`<!doctype html><script type="module">${run}</script>`);
  });
  const origin = `http://127.0.0.1:${await listenOnLoopback(server)}`;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    origin,
    async run(given) {
      script = given;
      const chromium = await startChromium(`${origin}/`);
      const late = setTimeout(() => told.reject(new Error('the page has said nothing')), WAIT_MS);
      chromium.on('error', (cause) => told.reject(new Error('no browser: is chromium installed?', { cause })));
      return told.promise.finally(() => clearTimeout(late));
    },
  };
}

async function gatewayFor(allowedOrigins: readonly string[]): Promise<{ gateway: Gateway; upstream: LegacyServer }> {
  const upstream = await startLegacyServer();
  onTestFinished(() => upstream.close());
  const gateway = await startGateway(upstream.url, { allowedOrigins: [...allowedOrigins] });
  onTestFinished(() => gateway.close());
  return { gateway, upstream };
}

const post = (endpoint: string): string => `
  const post = (message, headers = {}) => fetch('${endpoint}', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } };
  const add = { method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };`;

test('a page of a listed origin opens a session, reads its id, calls a tool, resumes, and reads what is refused', async () => {
  const listed = await page();
  const { gateway } = await gatewayFor([listed.origin]);

  const said = await listed.run(`${post(gateway.endpoint)}
    const opened = await post({ id: 0, method: 'initialize', params });
    const id = opened.headers.get('mcp-session-id');
    const headers = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25', 'mcp-param-region': 'eu' };
    await post({ method: 'notifications/initialized' }, headers);
    const called = await (await post({ id: 1, ...add }, { ...headers, authorization: 'Bearer x' })).json();
    const stream = await fetch('${gateway.endpoint}', { headers: { ...headers, accept: 'text/event-stream', 'last-event-id': '' } });
    await stream.body.cancel();
    const unknown = await post({ id: 2, ...add }, { ...headers, 'mcp-session-id': 'unknown' });
    const document = await fetch('${gateway.origin}/.well-known/nothing', { headers: { 'mcp-protocol-version': '2025-11-25' } });
    const deleted = await fetch('${gateway.endpoint}', { method: 'DELETE', headers });
    const old = await new Promise((resolve) => {
      const source = new EventSource('${gateway.origin}/sse');
      source.addEventListener('endpoint', ({ data }) => (source.close(), resolve(data)));
    });
    return [typeof id, called.result.content[0].text, stream.status, unknown.status, (await unknown.json()).error.data.reason,
      document.status, deleted.status, old.split('=')[0]];`);

  expect(said).toEqual(['string', '3', 200, 404, 'session_unknown', 404, 204, '/messages?token']);
});

test('a page of another origin can do none of that, and a message that needs no preflight does nothing', async () => {
  const other = await page();
  const { gateway, upstream } = await gatewayFor(['https://app.example']);

  const said = await other.run(`${post(gateway.endpoint)}
    const failed = (asked) => asked.then(() => 'answered', (error) => error.name);
    const blind = await fetch('${gateway.endpoint}', {
      method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...add }),
    });
    return [await failed(post({ id: 1, ...add })), await failed(fetch('${gateway.origin}/healthz')), blind.type, blind.status];`);

  expect(said).toEqual(['TypeError', 'TypeError', 'opaque', 0]);
  expect(upstream.received.filter(({ message }) => message.method === 'tools/call')).toEqual([]);
  expect(gateway.journal.of('refused').map(({ reason }) => reason)).toEqual(
    gateway.journal.of('refused').map(() => 'origin_refused'),
  );
  expect(gateway.journal.of('refused').length).toBeGreaterThanOrEqual(3);
});
