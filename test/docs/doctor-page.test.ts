// docs/doctor.md: its report is what the built program says of its configuration, and its table is that of the code.

import { chmodSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { CHECKS } from '../../src/doctor/report.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { file, run } from '../verbs/program.ts';
import { SERVER_KEY, blocksOf, commandsOfKind } from './kinds.ts';
import { TABLES } from './pages.ts';

const PAGE = 'docs/doctor.md';
const NOBODY = 'http://127.0.0.1:1';

/** Without what is another on every machine. */
function alike(report: string): string {
  return report
    .replaceAll(/\d+ ms/g, 'N ms')
    .replaceAll(/within \d+ s/g, 'within N s')
    .replaceAll(/^(?:warning|ok) +(descriptors|memory): .*/gm, '$1')
    .replace(/^\d+ ok, \d+ warnings?/m, 'N ok');
}

test('the report is what is said of the configuration', async () => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());
  const [configuration] = blocksOf('configuration').filter(({ page }) => page === PAGE);
  const [report] = blocksOf('report');
  const secret = file('', 'billing');
  writeFileSync(secret, SERVER_KEY);
  chmodSync(secret, 0o644);
  const moved = [
    ['/run/secrets/billing', secret],
    ['http://127.0.0.1:9001', server.url.origin],
    ['http://127.0.0.1:9002', NOBODY],
    ['port: 8080', 'port: 0'],
  ] as const;
  const here = moved.reduce((text, [from, to]) => text.replaceAll(from, to), configuration?.text ?? '');

  const program = run('doctor', '-c', file(here));
  expect(await program.ended).toBe(1);

  const back = moved
    .reduce((text, [from, to]) => text.replaceAll(to, from), program.stdout())
    .replaceAll(server.url.host, '127.0.0.1:9001')
    .replaceAll(new URL(NOBODY).host, '127.0.0.1:9002')
    .replace('127.0.0.1:0 is any free port', '127.0.0.1:8080 is free');
  expect(alike(back)).toBe(alike(report?.text ?? ''));
  expect(server.gets[0]?.headers['x-api-key']).toBe(SERVER_KEY);
});

test('the checks are those that there are', () => {
  const [table] = TABLES.filter(({ page }) => page === PAGE);

  expect(table?.rows).toEqual(Object.entries(CHECKS).map(([name, meaning]) => [`\`${name}\``, meaning]));
});

test.each(commandsOfKind('doctor').map(({ text, words }) => [text, words] as const))('%s: runs', async (_, words) => {
  const server = await startLegacyServer();
  onTestFinished(() => server.close());
  const args = words.slice(3).map((word) => word.replace('http://127.0.0.1:9001', server.url.origin));

  const program = run(...args, '--listen', '127.0.0.1:0');

  expect(await program.ended).toBe(0);
  expect(program.stdout()).toMatch(/^ok +upstream default: /m);
});
