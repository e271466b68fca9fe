import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/observe/log.ts';
import { fifo, file } from '../verbs/program.ts';

const OUTPUT = join(import.meta.dirname, '../../dist/observe/log-output.js');

test.each(['json', 'pretty'] as const)('lines that had no room are lost and counted (%s)', async (format) => {
  const path = fifo();
  const reader = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
  onTestFinished(() => void reader.destroy());
  const fd = openSync(path, 'w');
  onTestFinished(() => closeSync(fd));
  const log = await createLog({ level: 'info', format }, { fd });
  onTestFinished(() => log.close());

  const filling = 'x'.repeat(64 * 1024);
  for (let line = 0; line < 300; line++) log.lines.info(filling);
  const chunks: string[] = [];
  for await (const chunk of reader) {
    chunks.push(String(chunk));
    if (chunks.slice(-2).join('').includes('lines lost')) break;
  }

  const text = chunks.join('');
  const told = Number(/"lines":(\d+)/.exec(text)?.[1]);
  const written = text.split('\n').filter((line) => line.includes('xxx')).length;
  expect(told).toBeGreaterThan(0);
  expect(written + told).toBe(300);
});

test('what a client calls a tool makes no line of its own in a pretty log', async () => {
  const path = file('', 'log');
  const fd = openSync(path, 'a');
  onTestFinished(() => closeSync(fd));
  const log = await createLog({ level: 'info', format: 'pretty' }, { fd });

  log.lines.info({ name: 'x): ok\n[00:00:00.000] ERROR: forged\r(y' }, 'exchange');
  await log.close();

  const lines = readFileSync(path, 'utf8')
    .trimEnd()
    .split(/[\r\n]+/);
  expect(lines).toEqual([expect.stringMatching(/INFO.*forged.*exchange/)]);
});

test('the last lines before a crash are written', async () => {
  const script = `import { LogOutput } from ${JSON.stringify(OUTPUT)};
    const output = new LogOutput(2, () => {});
    output.write('first\\n');
    output.write('last\\n');
    process.exit(7);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'pipe'] });

  // The first is under way in a thread when the last is written.
  const lines = String(Buffer.concat(await child.stderr.toArray()))
    .trimEnd()
    .split('\n');
  expect(lines.toSorted()).toEqual(['first', 'last']);
});
