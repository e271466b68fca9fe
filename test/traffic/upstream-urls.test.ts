import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { UpstreamUrls } from '../../src/traffic/upstream-urls.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const AVOID_MS = 30_000;

function urlsOf(...hosts: readonly string[]) {
  const time = new VirtualTime();
  const input = { url: hosts.map((host) => `http://${host}/sse`), headers: { 'X-Key': 'k' } };
  const [upstream] = parseConfig({ upstreams: [input] }).upstreams;
  if (upstream === undefined) throw new Error('no upstream');
  const urls = new UpstreamUrls(upstream, time, AVOID_MS);
  /** The host of the next one, which fails or stays. */
  const next = (how: 'opened' | 'failed' | 'opening' = 'opened'): string => {
    const choice = urls.choose();
    if (how === 'opened') choice.opened();
    if (how === 'failed') choice.failed('upstream_unreachable');
    return choice.url.endpoint.sseUrl.host;
  };
  return { time, urls, next };
}

test('the one with the fewest connections is next, the first among equals', () => {
  const { urls, next } = urlsOf('a', 'b', 'c');
  const first = urls.choose();
  first.opened();

  expect([next(), next(), next()]).toEqual(['b', 'c', 'a']);
  first.over();
  first.over();

  expect([next(), next(), next()]).toEqual(['a', 'b', 'c']);
});

test('one that has failed comes last, of several the one that failed first', async () => {
  const { time, next } = urlsOf('a', 'b', 'c');

  const failed = [next('failed')];
  await time.advance(1);
  failed.push(next('failed'));

  expect([...failed, next(), next(), next()]).toEqual(['a', 'b', 'c', 'c', 'c']);
  await time.advance(1);
  expect(next('failed')).toBe('c');
  expect(next('failed')).toBe('a');
});

test('it is like the others again after a while, or once it could be opened', async () => {
  const { time, next } = urlsOf('a', 'b');
  next('failed');

  await time.advance(AVOID_MS - 1);
  expect(next()).toBe('b');
  await time.advance(1);
  expect(next('failed')).toBe('a');
  await time.advance(1);
  expect(next('failed')).toBe('b');

  expect([next(), next()]).toEqual(['a', 'a']);
});

test('a sole one is chosen, whatever became of it', () => {
  const { next } = urlsOf('a');

  expect([next('failed'), next('failed'), next()]).toEqual(['a', 'a', 'a']);
});

test('each has its own credentials, and they are in no URL', () => {
  const { urls } = urlsOf('ann:1@a', 'b');

  expect(urls.count).toBe(2);
  expect(urls.at(0)?.endpoint.sseUrl.href).toBe('http://a/sse');
  expect(urls.at(0)?.headers).toEqual({ 'x-key': 'k', authorization: `Basic ${btoa('ann:1')}` });
  expect(urls.at(1)?.headers).toEqual({ 'x-key': 'k' });
  expect(urls.at(2)).toBeNull();
});

test('one that does not answer gets no more of them while another does', () => {
  const { next } = urlsOf('a', 'b');

  expect(next('opening')).toBe('a');

  expect(Array.from({ length: 5 }, () => next())).toEqual(['b', 'b', 'b', 'b', 'b']);
});
