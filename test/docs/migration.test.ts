// What docs/migration.md says of the programs before and of this one: whatever a block of before uses has a row that tells
// what becomes of it, and what a row names here is there.

import { expect, test } from 'vitest';
import { KEYS } from '../../src/config/keys.ts';
import { blocksOf } from './kinds.ts';
import { MIGRATION, PROGRAMS, type Replaced, namesOf, rowsOf } from './replaced.ts';
import { commandsOf } from './shell-commands.ts';

/** Its own words, and those of the program that it is told to start. */
function* uses(words: readonly string[]): Generator<readonly [program: Replaced, flag: string]> {
  const isOfNpm = words[0] === 'npx';
  const [name, ...rest] = words.filter((word) => word !== 'npx' && word !== '-y');
  const program = PROGRAMS.find((each) =>
    name === 'mcp-proxy' ? each === `mcp-proxy (${isOfNpm ? 'npm' : 'PyPI'})` : each === name,
  );
  if (program === undefined) throw new Error(`not known: ${words.join(' ')}`);
  for (const [index, word] of rest.entries()) {
    if (word === '--') {
      yield* uses(rest.slice(index + 1));
      return;
    }
    if (word.startsWith('--')) yield [program, word];
    if (word.includes(' ')) yield* uses(word.split(' '));
  }
}

const REPLACED = blocksOf('replaced').map((block) => [block.title, block] as const);

test('there are such blocks of every program', () => {
  const text = REPLACED.map(([, block]) => block.text).join('');

  for (const program of PROGRAMS) expect(text).toContain(program.split(' ')[0]?.toLowerCase());
  expect(REPLACED.every(([, { page }]) => page === MIGRATION)).toBe(true);
});

test.each(REPLACED)('%s: each flag or name of it has a row', (_, { language, text }) => {
  if (language === 'python') {
    const names = Array.from(text.matchAll(/(\w+)=|\b(create_proxy)\(/g), ([, named, called]) => named ?? called);
    expect(namesOf('FastMCP')).toEqual(expect.arrayContaining(names));
    return;
  }
  const commands =
    language === 'sh'
      ? commandsOf(text).map(({ words }) => words)
      : Object.values((JSON.parse(text) as { mcpServers: Record<string, Entry> }).mcpServers).flatMap((entry) =>
          entry.command === undefined ? [] : [[entry.command, ...(entry.args ?? [])]],
        );
  for (const [program, flag] of commands.flatMap((words) => [...uses(words)])) {
    expect(namesOf(program)).toContain(flag);
  }
});

interface Entry {
  readonly command?: string;
  readonly args?: readonly string[];
}

test.each(PROGRAMS)('%s: what its table names here is a flag or a key', (program) => {
  const flags = new Set(KEYS.map(({ flag }) => `--${flag}`));
  const names = new Set(
    KEYS.flatMap(({ name }) => name.split(/[.[\]]+/).map((_part, at, all) => all.slice(0, at + 1).join('.'))),
  );

  for (const [was, here] of rowsOf(program)) {
    const said = Array.from(here.matchAll(/`([^`]+)`/g), ([, code = '']) => code);
    for (const code of said) {
      if (code === '--host' || !/^--|^[a-z]\w+(?:\[\])?(?:\.\w+)+$/.test(code)) continue;
      const isThere = code.startsWith('--') ? flags.has(code.split(' ')[0] ?? '') : names.has(code.replace('[]', ''));
      expect([was, code, isThere]).toEqual([was, code, true]);
    }
  }
});
