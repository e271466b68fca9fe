import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { whyUnreadable } from '../../src/config/substitution.ts';
import { readAside, readText } from '../../src/verbs/surroundings.ts';
import { file } from './program.ts';

function refusalOf(path: string): string {
  try {
    readText(path, 100);
  } catch (error) {
    return whyUnreadable(error);
  }
  throw new Error('it was read');
}

function pipe(): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  return path;
}

test('a file is read as it is, a mark of its encoding included', () => {
  expect(readText(file('\ufeffälter: 1\r\n'))).toBe('\ufeffälter: 1\r\n');
  expect(readText(file('x'.repeat(4 * 1024 * 1024)))).toHaveLength(4 * 1024 * 1024);
  expect(readText(file(''))).toBe('');
});

test.each<readonly [what: string, bytes: Uint8Array]>([
  ['UTF-16', Buffer.from('\ufeffupstreams: []\n', 'utf16le')],
  ['UTF-16 without its mark', Buffer.from('upstreams: []\n', 'utf16le')],
  ['Latin-1', Buffer.from('name: \u00e4\n', 'latin1')],
  ['no text at all', Buffer.of(0x1f, 0x8b, 0x08, 0x00)],
])('%s is said to be no UTF-8 text', (_what, bytes) => {
  const path = file('');
  writeFileSync(path, bytes);

  expect(refusalOf(path)).toBe('it is not UTF-8 text');
});

test('what has no end, or no beginning, keeps nobody waiting', () => {
  expect(refusalOf(file('x'.repeat(4 * 1024 * 1024 + 1)))).toBe('it is larger than 4 MiB');
  expect(refusalOf(pipe())).toBe('it is a pipe that nobody writes to');
  expect(refusalOf('.')).toMatch(/it is a directory/);
});

test.runIf(existsSync('/dev/zero'))('a device is no file', () => {
  expect(refusalOf('/dev/zero')).toBe('it is a device, and no file');
});

test('a pipe is read to its end, and waited for', () => {
  const path = pipe();
  const writer = spawn('sh', ['-c', `{ printf one; printf two; } > '${path}'`]);
  onTestFinished(() => void writer.kill());

  expect(readText(path)).toBe('onetwo');
});

test('what is read aside keeps nothing waiting beside it, whatever files it turns out to need', async () => {
  const [outer, inner] = [pipe(), pipe()];
  const read = readAside(
    { env: {}, readFile: () => '' },
    ({ readFile }) => `${readFile(readFile(outer))}${readFile(outer)}`,
  );

  // Nothing could be written here if this process waited for it.
  await writeFile(outer, inner);
  await writeFile(inner, 'one');

  expect(await read).toBe(`one${inner}`);
});

test('a file that is read aside and cannot be is blamed as ever', async () => {
  const read = readAside({ env: {}, readFile: () => '' }, ({ readFile }) => readFile('/nowhere'));

  await expect(read).rejects.toMatchObject({ code: 'ENOENT' });
});
