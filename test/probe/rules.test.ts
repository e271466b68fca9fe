// The decisions of a probe that need no server.

import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { endpointForm } from '../../src/probe/endpoint-form.ts';
import { heartbeatOf } from '../../src/probe/heartbeat.ts';
import type { Beat, Seen } from '../../src/probe/seen.ts';
import { besideStream, usualPaths } from '../../src/probe/usual-paths.ts';
import { verdictOf } from '../../src/probe/verdict.ts';

const BASE = new URL('http://old:9001/api/sse');
const UUID = '2c9f1a52-0e1b-4a49-9f0e-3a0c6f2b7a11';

test.each([
  [`/messages?sessionId=${UUID}`, 'root-relative', '/messages', 'query', 'sessionId', 'uuid'],
  [`messages?session_id=${'0a'.repeat(16)}`, 'relative', '/api/messages', 'query', 'session_id', 'hex'],
  [`?sessionId=${UUID}`, 'query', '/api/sse', 'query', 'sessionId', 'uuid'],
  [`http://old:9001/message?sessionId=${UUID}`, 'absolute', '/message', 'query', 'sessionId', 'uuid'],
  [`//inner:1/message?sessionId=x`, 'other-origin', '/message', 'query', 'sessionId', 'other'],
  [`/mcp/messages/${UUID}`, 'root-relative', '/mcp/messages/***', 'path', null, 'uuid'],
  [
    `/mcp/messages/${Buffer.from(UUID).toString('base64')}`,
    'root-relative',
    '/mcp/messages/***',
    'path',
    null,
    'base64',
  ],
  ['/mcp/messages?', 'root-relative', '/mcp/messages', 'none', null, null],
  ['/mcp-rpc', 'root-relative', '/mcp-rpc', 'none', null, null],
  ['/a-rather-long-name-of-an-endpoint', 'root-relative', '/a-rather-long-name-of-an-endpoint', 'none', null, null],
  ['http://[', 'none', '', 'none', null, null],
  ['/%E0%A4%A/x1?%', 'root-relative', '/%E0%A4%A/x1', 'none', null, null],
])('the endpoint %s is %s', (announced, form, path, session, parameter, idForm) => {
  expect(endpointForm(announced, BASE)).toMatchObject({ form, path, session, parameter, idForm });
});

test.each([
  ['http://a:9/', ['/sse', '/mcp', '/mcp/sse']],
  ['http://a:9/sse', ['/mcp', '/mcp/sse']],
  ['http://a:9/mcp', ['/sse', '/mcp/sse']],
  ['http://a:9/api/v1/', ['/api/v1/sse', '/sse', '/mcp', '/mcp/sse']],
  ['http://a:9/x?token=t', ['/x/sse', '/sse', '/mcp', '/mcp/sse']],
])('beside %s is looked at %j, without its query', (url, paths) => {
  expect(usualPaths(new URL(url)).map((each) => each.url.href)).toEqual(paths.map((path) => `http://a:9${path}`));
});

test('where there is an event stream, Streamable HTTP is looked for beside it', () => {
  expect(besideStream(new URL('http://a/api/sse?x=1'))?.href).toBe('http://a/api/mcp');
  expect(besideStream(new URL('http://a/events'))).toBeNull();
});

describe('a heartbeat', () => {
  const beats = (kind: Beat['kind'], ...at: readonly number[]): Beat[] => at.map((atMs) => ({ kind, atMs }));

  test.each([
    ['that nobody heard', [], null],
    ['that came once has no period', beats('comment', 15), { kind: 'comment', everyMs: null }],
    [
      'has the middle of its gaps, whatever one of them is',
      beats('ping', 0, 10, 20, 90),
      { kind: 'ping', everyMs: 10 },
    ],
    [
      'is what comes most often',
      [...beats('event', 5), ...beats('comment', 0, 1000, 2000)],
      { kind: 'comment', everyMs: 1000 },
    ],
  ])('%s', (_what, heard, expected) => {
    expect(heartbeatOf(heard)).toEqual(expected);
  });
});

describe('what no test can make', () => {
  test('where time was up before the usual paths were tried, they are named', () => {
    const what = { ...seen('http://old/x', 'upstream_not_found', 1), wasCut: true };

    expect(verdictOf(what)).toMatchObject({ kind: 'not_found', next: expect.stringMatching(/try http:\/\/old\/sse$/) });
  });

  const seen = (url: string, code: ErrorCode, dns: number | null): Seen => ({
    url: new URL(url),
    isDialledWithMore: false,
    messageUrl: null,
    stream: {
      timings: { dns, tcp: null, tls: null, head: null, endpoint: null, initialize: null },
      head: null,
      bytes: 0,
      beginning: '',
      announced: null,
      posts: [],
      introduction: null,
      counts: null,
      beats: [],
      listenedMs: 0,
      isLost: false,
      dropped: [],
      failure: { code, why: 'time was up', network: null },
    },
    streamable: null,
    elsewhere: [],
    certificate: null,
    second: null,
    goneAfter: false,
    wasCut: false,
  });

  test.each([
    [
      'packets that are dropped',
      seen('http://10.255.255.1/sse', 'upstream_connect_timeout', null),
      'connect_timeout',
      /firewall/,
    ],
    ['the same behind a name', seen('http://old/sse', 'upstream_connect_timeout', 12), 'connect_timeout', /firewall/],
    ['a resolver that is silent', seen('http://old/sse', 'upstream_connect_timeout', null), 'unresolved', /DNS/],
    ['what nobody has thought of', seen('http://old/sse', 'draining', null), 'failed', /./],
  ] as const)('%s', (_what, what, kind, next) => {
    expect(verdictOf(what)).toMatchObject({ kind, usable: 'no', next: expect.stringMatching(next) });
  });
});
