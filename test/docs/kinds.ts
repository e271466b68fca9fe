// What each fenced block of the pages is. blocks.test.ts fails for one that is nothing, and for a command that nobody
// exercises, so nothing passes by not being looked at.

import { createHash, randomBytes } from 'node:crypto';
import { parse, parseAllDocuments } from 'yaml';
import type { Place } from './containers.ts';
import { type Block, BLOCKS } from './pages.ts';
import { type ShellCommand, commandsOf, needsShell } from './shell-commands.ts';

export type Kind =
  | 'commands'
  | 'shell'
  | 'configuration'
  | 'compose'
  | 'kubernetes'
  | 'clients'
  | 'report'
  | 'replaced'
  | 'drawing';

/** Drawings, by how they begin. */
const DRAWINGS: readonly (readonly [page: string, start: string])[] = [
  ['README.md', 'before   '],
  ['docs/architecture.md', '             edge/ downstream/'],
  ['docs/probe.md', 'http://old:9001/sse\n\n  is  '],
];

/** Null for what nobody has thought of. */
export function kindOf({ page, language, text, isReplaced }: Block): Kind | null {
  if (isReplaced) return ['sh', 'json', 'python'].includes(language) ? 'replaced' : null;
  switch (language) {
    case 'sh':
      return needsShell(text) ? 'shell' : 'commands';
    case 'yaml': {
      const [first]: unknown[] = parseAllDocuments(text).map((each): unknown => each.toJS());
      if (has(first, 'apiVersion')) return 'kubernetes';
      if (has(first, 'services')) return 'compose';
      return has(first, 'upstreams') ? 'configuration' : null;
    }
    case 'json':
      return has(parse(text), 'mcpServers') || has(parse(text), 'servers') ? 'clients' : null;
    case 'text':
      return page === 'docs/doctor.md' ? 'report' : null;
    case '':
      return DRAWINGS.some(([of, start]) => of === page && text.startsWith(start)) ? 'drawing' : null;
    default:
      return null;
  }
}

function has(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

export function blocksOf(kind: Kind): readonly Block[] {
  return BLOCKS.filter((block) => kindOf(block) === kind);
}

/** What the docs speak of and a reader has: a key for a caller, the server's own, the folder, the files that they name. */
export const CALLER_KEY = 'a-key-of-alice';
export const SERVER_KEY = 'the-key-of-the-server';
export const PLACE: Place = {
  variables: {
    SEALING_KEY: randomBytes(32).toString('base64'),
    PWD: '/here',
    ALICE_KEY_SHA256: createHash('sha256').update(CALLER_KEY).digest('hex'),
  },
  files: {
    // As an editor writes it.
    'billing.key': `${SERVER_KEY}\n`,
    // As openssl prints it.
    'sealing.key': `${randomBytes(32).toString('base64')}\n`,
    ...Object.fromEntries(BLOCKS.flatMap(({ file, text }) => (file === null ? [] : [[file, text]]))),
  },
};

export type CommandKind =
  | 'npm'
  | 'gateway'
  | 'probe'
  | 'doctor'
  | 'bench'
  | 'curl'
  | 'docker build'
  | 'docker run'
  | 'docker compose'
  | 'kubectl create'
  | 'kubectl apply'
  | 'openssl';

const STARTS: readonly (readonly [start: string, kind: CommandKind])[] = [
  ['npm ci ', 'npm'],
  ['npm test ', 'npm'],
  ['npm pack ', 'npm'],
  ['npm install ', 'npm'],
  ['npm run bench ', 'bench'],
  ['npm run ', 'npm'],
  ['npx node dist/main.js probe ', 'probe'],
  ['npx node dist/main.js doctor ', 'doctor'],
  ['npx node dist/main.js ', 'gateway'],
  ['npx node bench/', 'bench'],
  ['curl ', 'curl'],
  ['docker build ', 'docker build'],
  ['docker run ', 'docker run'],
  ['docker compose ', 'docker compose'],
  ['kubectl create ', 'kubectl create'],
  ['kubectl apply ', 'kubectl apply'],
  ['openssl rand ', 'openssl'],
];

export interface Command extends ShellCommand {
  readonly block: Block;
  readonly kind: CommandKind | null;
}

/** Every command of the pages but those that take a shell. */
export const COMMANDS: readonly Command[] = blocksOf('commands').flatMap((block) =>
  commandsOf(block.text, PLACE.variables).map((command) => {
    const [, kind = null] = STARTS.find(([start]) => `${command.words.join(' ')} `.startsWith(start)) ?? [];
    return { ...command, block, kind };
  }),
);

export function commandsOfKind(kind: CommandKind): readonly Command[] {
  return COMMANDS.filter((command) => command.kind === kind);
}
