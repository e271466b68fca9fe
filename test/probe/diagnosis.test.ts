import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/domain/errors.ts';
import { diagnosis } from '../../src/probe/diagnosis.ts';
import { run } from '../verbs/program.ts';

test.each([
  ['upstream_not_found', 'http://a:9/', /^nothing at \/; the SSE endpoint is often \/sse: try http:\/\/a:9\/sse$/],
  ['upstream_not_found', 'http://a:9/mcp?x=1', /nothing at \/mcp.*try http:\/\/a:9\/sse$/],
  ['upstream_not_found', 'http://a:9/sse', /nothing at \/sse: look up the path/],
  ['upstream_not_legacy', 'http://a:9/mcp', /Streamable HTTP.*without a gateway.*try http:\/\/a:9\/sse$/],
  ['upstream_not_event_stream', 'http://a:9/', /not with an event stream.*try http:\/\/a:9\/sse$/],
  ['upstream_not_event_stream', 'http://a:9/sse', /another server at this port/],
  ['endpoint_missing', 'http://a:9/sse', /never named its endpoint/],
  ['endpoint_missing', 'http://a:9/sse', /mcp-causeway probe http:\/\/a:9\/sse tells which$/],
  ['initialize_timeout', 'http://a:9/sse', /mcp-causeway probe http:\/\/a:9\/sse says more$/],
  ['initialize_timeout', 'http://a:9/sse?key=s3cret', /mcp-causeway probe URL says more$/],
  ['upstream_unauthorized', 'http://a:9/sse', /--header 'authorization=\$\{TOKEN\}'/],
  ['upstream_redirect', 'http://a:9/sse', /redirects are not followed/],
  ['upstream_unreachable', 'http://a:9/sse', /nothing answers at a:9: check that the server runs/],
] as const)('%s of %s', (reason, url, sentence) => {
  expect(diagnosis(reason, new URL(url))).toMatch(sentence);
});

test('no reason gives away what is secret in the URL, and each has something to do', () => {
  for (const reason of Object.keys(ERRORS) as ErrorCode[]) {
    const sentence = diagnosis(reason, new URL('http://user:s3cret@a:9/x?token=t0ken'));
    expect(sentence.length, reason).toBeGreaterThan(10);
    expect(sentence, reason).not.toMatch(/s3cret|t0ken/);
  }
});

test.each([
  ['a page', 200, 'text/html', /but not with an event stream.*often \/sse: try http/],
  ['Streamable HTTP', 405, 'application/json', /Streamable HTTP/],
  [
    'a wrong path',
    404,
    'text/plain',
    /nothing at \/other; the SSE endpoint is often \/sse: try http:\/\/127\.0\.0\.1:\d+\/sse/,
  ],
  ['a door that is shut', 401, 'text/plain', /wants a credential/],
])('at start %s is told in one sentence with the next step', async (_what, status, type, sentence) => {
  const server = createServer((_request, response) => response.writeHead(status, { 'content-type': type }).end('x'));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;

  const program = run(`http://127.0.0.1:${port}/other`, '--listen', '127.0.0.1:0', '--log-format', 'json');
  await program.says(/upstream cannot be used/);

  const line =
    program
      .stderr()
      .split('\n')
      .find((each) => each.includes('upstream cannot be used')) ?? '';
  expect(JSON.parse(line).remedy).toMatch(sentence);
});
