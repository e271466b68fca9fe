// Secrets of the gateway itself, to the built program: where they may come from, and what is said of careless ones.

import { chmodSync } from 'node:fs';
import { expect, test } from 'vitest';
import { file, run } from './program.ts';

const SECRET = '86EJXHvi2ERgtxk+yCrRX44Es5xtdyH6BejEmz1SEKY=';

test('a file of secrets that everybody may read is warned of, at every start and reload, and one that is not is not [T31]', async () => {
  const secret = file(`${SECRET}\n`, 'seal');
  chmodSync(secret, 0o644);
  const upstream = "upstreams: [{ url: 'http://127.0.0.1:1/sse' }]\n";
  const path = file(
    `listen: { port: 0 }\nlog: { format: json }\nsecrets: { current: '\${file:${secret}}' }\n${upstream}`,
  );

  const program = run('serve', '-c', path);
  const [line] = await program.says(/^.*every user of this machine.*$/m);
  chmodSync(secret, 0o640);
  program.child.kill('SIGHUP');
  await program.says(/configuration reloaded/);
  chmodSync(secret, 0o604);
  program.child.kill('SIGHUP');
  await program.says(/(?:every user of this machine.*\s[^]*){2}/);

  expect(JSON.parse(line)).toMatchObject({ level: 40, file: secret });
  expect(program.stdout() + program.stderr()).not.toContain(SECRET);
});

test('a secret on the command line is refused, and not repeated [T31]', async () => {
  const program = run('http://127.0.0.1:1/sse', '--listen', '127.0.0.1:0', '--secrets-current', SECRET);

  expect(await program.ended).toBe(3);

  expect(program.stderr()).toMatch(/--secrets-current: .*process list/);
  expect(program.stderr()).not.toContain(SECRET);
});
