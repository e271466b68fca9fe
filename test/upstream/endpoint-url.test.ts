import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { type EndpointRules, endpointUrl } from '../../src/upstream/endpoint-url.ts';

const SSE = 'http://up.example:9001/base/sse?key=1';

function resolved(announced: string, rules: Partial<EndpointRules> = {}, sseUrl = SSE): string {
  return endpointUrl(announced, { sseUrl: new URL(sseUrl), allowedOrigins: new Set(), ...rules }).href;
}

function refusal(announced: string, rules: Partial<EndpointRules> = {}, sseUrl = SSE): ProxyError {
  try {
    resolved(announced, rules, sseUrl);
  } catch (thrown) {
    if (thrown instanceof ProxyError) return thrown;
    throw thrown;
  }
  throw new Error(`accepted: ${announced}`);
}

describe('what an upstream announces is resolved as a browser would', () => {
  test.each<[announced: string, url: string]>([
    ['/messages?session_id=a', 'http://up.example:9001/messages?session_id=a'],
    ['messages?x', 'http://up.example:9001/base/messages?x'],
    ['./messages', 'http://up.example:9001/base/messages'],
    ['../messages/', 'http://up.example:9001/messages/'],
    ['../../../messages', 'http://up.example:9001/messages'],
    ['?sessionId=1', 'http://up.example:9001/base/sse?sessionId=1'],
    ['http://up.example:9001/m', 'http://up.example:9001/m'],
    ['HTTP://UP.EXAMPLE:9001/m', 'http://up.example:9001/m'],
    ['//up.example:9001/m', 'http://up.example:9001/m'],
    ['http:/m', 'http://up.example:9001/m'],
    ['http:m', 'http://up.example:9001/base/m'],
    ['\\m', 'http://up.example:9001/m'],
    ['/m?a=b%20c&d=%2F#fragment', 'http://up.example:9001/m?a=b%20c&d=%2F'],
    ['/m?q=//evil.com@x', 'http://up.example:9001/m?q=//evil.com@x'],
    ['/m/a:b@c', 'http://up.example:9001/m/a:b@c'],
    [' /m ', 'http://up.example:9001/m'],
    ['/mün?ü', 'http://up.example:9001/m%C3%BCn?%C3%BC'],
    [`/${'m'.repeat(8191)}`, `http://up.example:9001/${'m'.repeat(8191)}`],
  ])('%s', (announced, url) => {
    expect(resolved(announced)).toBe(url);
  });

  test.each<[sse: string, announced: string, url: string]>([
    ['http://up.example/sse', 'http://up.example:80/m', 'http://up.example/m'],
    ['https://up.example/sse', 'https://up.example:443/m', 'https://up.example/m'],
    ['http://[::1]:9001/sse', '/m', 'http://[::1]:9001/m'],
    ['http://münchen.example/sse', 'http://xn--mnchen-3ya.example/m', 'http://xn--mnchen-3ya.example/m'],
    ['http://xn--mnchen-3ya.example/sse', '//MÜNCHEN.example/m', 'http://xn--mnchen-3ya.example/m'],
    ['http://user:pass@up.example/sse', '/m', 'http://up.example/m'],
    ['http://user:pass@up.example/sse', 'http://up.example/m', 'http://up.example/m'],
  ])('on %s: %s', (sse, announced, url) => {
    expect(resolved(announced, {}, sse)).toBe(url);
  });
});

describe('nothing an upstream says makes us talk to another origin [G2]', () => {
  test.each<[why: string, announced: string]>([
    ['another host', 'http://evil.com/m'],
    ['another host without a scheme', '//evil.com/m'],
    ['another host behind backslashes', '\\\\evil.com\\m'],
    ['another host behind a slash and a backslash', '/\\evil.com/m'],
    ['another host behind three slashes', '///evil.com/m'],
    ['another host after spaces', '  //evil.com/m'],
    ['another host, escaped', 'http://%65vil.com/m'],
    ['a host that begins like ours', 'http://up.example.evil.com:9001/m'],
    ['a host that ends like ours', 'http://evil-up.example:9001/m'],
    ['our host with a dot', 'http://up.example.:9001/m'],
    ['a host of another script', 'http://ир.example:9001/m'],
    ['another port', 'http://up.example:9002/m'],
    ['the default port', 'http://up.example/m'],
    ['https instead of http', 'https://up.example:9001/m'],
    ['https without slashes', 'https:m'],
    ['the metadata address', 'http://169.254.169.254/latest/meta-data'],
  ])('%s', (_why, announced) => {
    expect(refusal(announced)).toMatchObject({ code: 'endpoint_refused', status: 502 });
  });

  test('http instead of https', () => {
    expect(refusal('http://up.example/m', {}, 'https://up.example/sse').message).toContain('another origin');
  });

  test.each<[announced: string, why: string]>([
    ['javascript:alert(1)', 'neither http nor https'],
    ['data:text/plain,x', 'neither http nor https'],
    ['file:///etc/passwd', 'neither http nor https'],
    ['ftp://up.example:9001/m', 'neither http nor https'],
    ['ws://up.example:9001/m', 'neither http nor https'],
    ['blob:http://up.example:9001/uuid', 'neither http nor https'],
    ['http+unix://up.example:9001/m', 'neither http nor https'],
    ['up.example:9001/m', 'neither http nor https'],
    ['http://user@up.example:9001/m', 'user name'],
    ['http://user:pass@up.example:9001/m', 'user name'],
    ['http://:pass@up.example:9001/m', 'user name'],
    ['//user@up.example:9001/m', 'user name'],
    ['http://up.example:9001@evil.com/m', 'user name'],
    ['http://', 'not a URL'],
    ['http://up.example:99999/m', 'not a URL'],
    ['http://up example/m', 'not a URL'],
    ['http://[::1/m', 'not a URL'],
    ['/m\n', 'control characters'],
    ['ht\ntp://up.example:9001/m', 'control characters'],
    ['/m\tx', 'control characters'],
    ['\u0000/m', 'control characters'],
    ['/m\u007f', 'control characters'],
    ['/m\r\nX-Header: 1', 'control characters'],
    [`/${'m'.repeat(8192)}`, '8192'],
    [`http://evil.com/${'m'.repeat(1_000_000)}`, '8192'],
  ])('%j is refused, and the refusal says why', (announced, why) => {
    expect(refusal(announced)).toMatchObject({ code: 'endpoint_refused', message: expect.stringContaining(why) });
  });

  test('a refusal does not repeat what the upstream said', () => {
    for (const announced of [
      'http://secret.example/',
      'blob:secret',
      'http://secret@up.example:9001/',
      'http://[secret',
    ]) {
      const { message, cause } = refusal(announced);
      expect(message).not.toContain('secret');
      expect(cause).toBeUndefined();
    }
  });
});

describe('origins that the operator allowed', () => {
  const allowedOrigins = new Set(['https://post.example', 'http://xn--mnchen-3ya.example']);

  test.each<[announced: string, url: string]>([
    ['https://post.example/m?x', 'https://post.example/m?x'],
    ['https://POST.example:443/m', 'https://post.example/m'],
    ['http://münchen.example/m', 'http://xn--mnchen-3ya.example/m'],
    ['/m', 'http://up.example:9001/m'],
  ])('%s is one of them', (announced, url) => {
    expect(resolved(announced, { allowedOrigins })).toBe(url);
  });

  test.each([
    'http://post.example/m',
    'https://post.example:8443/m',
    'https://a.post.example/m',
    'https://user@post.example/m',
    'blob:https://post.example/uuid',
  ])('%s is none', (announced) => {
    expect(refusal(announced, { allowedOrigins }).code).toBe('endpoint_refused');
  });
});

describe('a configured messageUrl', () => {
  const messageUrl = new URL('https://front.example:8443/in/messages');

  test.each<[announced: string, url: string]>([
    ['/messages?session_id=a%20b', 'https://front.example:8443/in/messages?session_id=a%20b'],
    ['http://internal:9001/x/y?sessionId=1#f', 'https://front.example:8443/in/messages?sessionId=1'],
    ['?a', 'https://front.example:8443/in/messages?a'],
    ['/messages', 'https://front.example:8443/in/messages'],
  ])('takes the place of all but the query: %s', (announced, url) => {
    expect(resolved(announced, { messageUrl })).toBe(url);
  });

  test('is not changed by it, and each link has its own', () => {
    expect(resolved('/m?a', { messageUrl })).not.toBe(resolved('/m?b', { messageUrl }));
    expect(messageUrl.search).toBe('');
  });

  test.each(['javascript:x?a', 'blob:http://up.example:9001/?a', 'http://u@up.example:9001/?a', '/m\n?a'])(
    'does not excuse %j',
    (announced) => {
      expect(refusal(announced, { messageUrl }).code).toBe('endpoint_refused');
    },
  );
});

test('the URL of the event stream is left as it was', () => {
  const sseUrl = new URL('http://user:pass@up.example/sse');

  endpointUrl('/m', { sseUrl, allowedOrigins: new Set() });

  expect(sseUrl.href).toBe('http://user:pass@up.example/sse');
});
