// The lines that are there to be pasted, pasted: into a real shell with a real curl. (What is left of them where there is
// no curl is in blocks.test.ts.)

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { run } from '../verbs/program.ts';
import { COMMANDS, type CommandKind, PLACE, blocksOf, commandsOfKind } from './kinds.ts';
import { StandIns, startHere } from './run-container.ts';

const shell = promisify(execFile);
const WAIT_MS = 30_000;

async function pasted(line: string): Promise<string> {
  const { stdout } = await shell('sh', ['-c', line], { timeout: WAIT_MS });
  return stdout;
}

/** Every line of the pages that begins so, as it stands there. */
function linesWith(start: string): string[] {
  return blocksOf('commands').flatMap(({ text }) => text.split('\n').filter((line) => line.startsWith(start)));
}

test('the curl lines to the endpoint, one after the other', async () => {
  const [serves] = commandsOfKind('gateway');
  const { port } = await startHere({ args: serves?.words.slice(3) ?? [], env: {} }, new StandIns());
  const lines = linesWith('curl ').filter((line) => line.includes(':8080/mcp'));
  let session = 'PASTE';

  const outputs: string[] = [];
  for (const line of lines) {
    const output = await pasted(line.replace(':8080/', `:${port}/`).replace('PASTE', session));
    session = /^mcp-session-id: (\S+)/im.exec(output)?.[1] ?? session;
    outputs.push(output);
  }

  expect(outputs).toEqual([
    expect.stringMatching(/^\{"jsonrpc":"2\.0","id":1,"result":\{"tools":/),
    expect.stringMatching(/^HTTP\/1\.1 200 [^]*"protocolVersion":"2025-11-25"/),
    expect.stringMatching(/^HTTP\/1\.1 202 /),
    expect.stringMatching(/^HTTP\/1\.1 200 [^]*"id":2,"result":\{"tools":/),
  ]);
});

test('the line that the demo prints', async () => {
  const program = run('demo', '--listen', '127.0.0.1:0');
  const [, line = ''] = await program.says(/^ {2}(curl .*)$/m);

  expect(await pasted(line)).toContain('"text":"5"');

  program.child.kill('SIGINT');
  expect(await program.ended).toBe(0);
});

test('a shell takes the commands apart as blocks.test.ts does', async () => {
  const print = 'print() { for word in "$@"; do printf "%s\\n" "$word"; done; }';
  const variables = Object.entries(PLACE.variables).map(([name, value]) => `${name}='${value}'`);
  for (const kind of ['docker run', 'kubectl create', 'docker build', 'gateway'] as const) {
    const texts = blocksOf('commands').flatMap(({ text }) => text.replaceAll(/\\\n\s*/g, '').split('\n'));
    const starts = kind === 'gateway' ? 'npx node dist' : kind;
    const lines = texts.filter((line) => line.startsWith(starts));
    const kinds: readonly (CommandKind | null)[] = kind === 'gateway' ? ['gateway', 'probe', 'doctor'] : [kind];
    const words = COMMANDS.filter((each) => kinds.includes(each.kind) && Object.keys(each.env).length === 0);

    const seen = await Promise.all(lines.map((line) => pasted([print, ...variables, `print ${line}`].join('\n'))));

    expect(seen).toEqual(words.map((command) => `${command.words.join('\n')}\n`));
  }
});
