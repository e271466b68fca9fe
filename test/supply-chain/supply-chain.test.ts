// What is installed beside our own code: few packages, known by their digests, that run nothing when they are installed, and
// none of a version with a hole that peers of ours were bitten by.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PRODUCTION, isAtLeast, lockedIn } from './lockfile.ts';
import { sbom } from './sbom.ts';

const PROJECT = join(import.meta.dirname, '../..');

/** Also of packages that are not installed now: whoever adds one gets at least this. */
const LEAST: readonly (readonly [name: string, version: string, because: string])[] = [
  ['fastify', '5.8.3', 'a tab in Content-Type, bytes behind a body, and X-Forwarded headers of anybody got through'],
  ['undici', '7.24.0', 'took two Content-Length headers, chains of decompression, and kept what it deduplicated'],
  ['eventsource', '5.0.0', 'one line of any length was held in memory'],
  ['hono', '4.12.4', 'line ends in the event, id and retry of an event made further events'],
  ['@modelcontextprotocol/sdk', '1.26.0', 'a shared transport gave answers to the wrong client'],
  ['@modelcontextprotocol/inspector', '0.14.1', 'a local proxy that asked nobody who he is'],
];

test.each(LEAST)('no locked %s is older than %s: %s [T32]', (name, least) => {
  const old = PRODUCTION.filter((each) => each.name === name && !isAtLeast(each.version, least));

  expect(old).toEqual([]);
});

test('what the gateway stands on is in that table, so that it is about what is installed', () => {
  const names = LEAST.map(([name]) => name);

  expect(PRODUCTION.filter(({ name }) => names.includes(name)).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['eventsource', 'fastify', 'undici']),
  );
});

test.each([
  ['5.8.3', '5.8.3', true],
  ['5.10.0', '5.8.3', true],
  ['5.8.2', '5.8.3', false],
  ['4.99.0', '5.8.3', false],
  ['5.8.3-rc.1', '5.8.3', false],
  ['6.0.0-rc.1', '5.8.3', true],
])('of versions %s is at least %s: %s', (version, least, is) => {
  expect(isAtLeast(version, least)).toBe(is);
});

test('at most 12 packages are depended on directly, each at one version [T32]', () => {
  const { dependencies } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };

  expect(Object.keys(dependencies).length).toBeLessThanOrEqual(12);
  expect(Object.values(dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test('every package of a production installation has a strong digest, and none runs a script [T32]', () => {
  expect(PRODUCTION.length).toBeGreaterThan(20);
  expect(PRODUCTION.filter(({ integrity }) => integrity?.startsWith('sha512-') !== true)).toEqual([]);
  expect(PRODUCTION.filter(({ hasInstallScript }) => hasInstallScript === true)).toEqual([]);
});

test.each(['package-lock.json', 'test/peers/package-lock.json'])('%s names no registry', (file) => {
  expect(lockedIn(file).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});

test('the bill of materials names every package of a production installation, with its digest, and no other', () => {
  const { bomFormat, specVersion, metadata, components } = sbom();
  const digest = (integrity: string): string =>
    Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');

  expect([bomFormat, metadata.component.name]).toEqual(['CycloneDX', 'mcp-causeway']);
  expect(Number(specVersion)).toBeGreaterThanOrEqual(1.5);
  expect(
    components.map(({ purl, hashes }) => `${decodeURIComponent(purl)} ${hashes?.[0]?.content}`).toSorted(),
  ).toEqual(
    PRODUCTION.map(({ name, version, integrity = '' }) => `pkg:npm/${name}@${version} ${digest(integrity)}`).toSorted(),
  );
  expect(components.filter(({ licenses = [] }) => licenses.length === 0)).toEqual([]);
});
