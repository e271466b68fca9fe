// The profile `replicas` as the real nginx reads it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { output, takes } from '../support/installed.ts';
import { NGINX, REPLICAS } from './replicas.ts';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'causeway-replicas-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** As it is, but with addresses of this machine and files of a folder. */
function nginxHere(place: string, port: number, replicas: readonly number[]): string {
  const named = REPLICAS.reduce(
    (text, [name], at) => text.replace(`server ${name}:8080`, `server 127.0.0.1:${replicas[at]}`),
    NGINX,
  );
  const file = join(place, 'nginx.conf');
  writeFileSync(file, named.replaceAll('/tmp/', `${place}/`).replace('listen 8080', `listen 127.0.0.1:${port}`));
  return file;
}

test('nginx reads its configuration, and warns of nothing', (context) => {
  takes(context, 'nginx');
  const place = folder();

  const said = output('sh', ['-c', `nginx -t -e stderr -p ${place} -c ${nginxHere(place, 1, [2, 3, 4])} 2>&1`]);

  expect(said.trim().split('\n')).toEqual([
    expect.stringMatching(/syntax is ok$/),
    expect.stringMatching(/test is successful$/),
  ]);
});
