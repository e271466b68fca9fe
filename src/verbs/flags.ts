// The flags: one for every key of the configuration, made from it, and the few that are no keys.

import { type Command, type CommanderError, Option } from 'commander';
import { FILE_VARIABLE, type Flags } from '../config/assignments.ts';
import { KEYS, type Key } from '../config/keys.ts';
import { nearest } from '../config/nearest.ts';

/** Shown by --help; the others are in docs/configuration.md. */
const SHOWN = ['listen', 'header', 'mode', 'log-format', 'log-level'];

/** What stands for another flag. */
const SHORT: Readonly<Record<string, { readonly flag: string; readonly value: string }>> = {
  single: { flag: 'links-single', value: 'true' },
};

export const COMMANDS = ['serve', 'demo', 'check', 'healthcheck', 'version'];

export type Parsed = Readonly<Record<string, unknown>>;

export function withConfigFlags(command: Command): Command {
  command.addOption(new Option('--single', 'one link for everything: for servers that survive one connection only'));
  const seen = new Set<string>();
  for (const key of KEYS) {
    if (key.flag === undefined || seen.has(key.flag)) continue;
    seen.add(key.flag);
    command.addOption(optionOf(key, key.flag));
  }
  return command;
}

export function withFileFlag(command: Command): Command {
  return command.option('-c, --config <FILE>', `the configuration file (or ${FILE_VARIABLE})`);
}

function optionOf(key: Key, flag: string): Option {
  const option = new Option(`--${flag} <${placeholderOf(key)}>`, `${meaningOf(key)}${defaultOf(key)}`);
  if (!SHOWN.includes(flag)) option.hideHelp();
  if (flag === 'header') option.argParser((text, before: readonly string[] | undefined) => [...(before ?? []), text]);
  const choices = key.node.enum;
  if (choices !== undefined) option.choices(choices.map(String));
  return option;
}

function meaningOf({ flag, node }: Key): string {
  if (flag === 'listen') return 'where clients connect';
  if (flag === 'header') return 'sent with every request to the server; may be repeated';
  return node.description ?? '';
}

function defaultOf({ flag, node }: Key): string {
  if (flag === 'listen') return ' (default 127.0.0.1:8080)';
  return typeof node.default === 'string' ? ` (default ${node.default})` : '';
}

export function placeholderOf({ flag, node }: Key): string {
  if (flag === 'listen') return 'HOST:PORT';
  if (flag === 'header') return 'NAME=${VAR}|NAME=@FILE';
  if (flag === 'upstream' || flag === 'message-url') return 'URL';
  if (node['x-unit'] !== undefined) return node['x-unit'].toUpperCase();
  if (node.enum !== undefined) return (flag ?? '').split('-').at(-1)?.toUpperCase() ?? 'WORD';
  const kinds = (node.anyOf ?? [node]).map(({ type, const: only }) => (only === undefined ? type : String(only)));
  if (kinds.includes('array')) return 'LIST';
  if (kinds.includes('integer')) return 'NUMBER';
  const fixed = kinds.filter((kind) => kind !== 'object' && kind !== 'string');
  return fixed.length > 0 ? fixed.join('|') : 'TEXT';
}

/** What commander made of the flags → the flags of the configuration. */
export function configFlags(parsed: Parsed): Flags {
  const flags: Record<string, string | readonly string[]> = {};
  for (const [attribute, value] of Object.entries(parsed)) {
    const name = attribute.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const short = SHORT[name];
    if (short !== undefined) flags[short.flag] ??= short.value;
    else if (KEYS.some(({ flag }) => flag === name) && value !== undefined) {
      // Texts are what commander gives; of --header a list of them.
      flags[name] = value as string | readonly string[];
    }
  }
  return flags;
}

/** What commander says of a command line that it cannot use, with the nearest that it could. */
export function usageError(error: CommanderError, command: Command, given: readonly string[]): string {
  const message = error.message.replace(/^error: /, '').trim();
  const hint = usageHint(error, message, command);
  const help = `see mcp-causeway ${given.some((each) => each === command.name()) ? `${command.name()} ` : ''}--help`;
  return `${message}${hint === null ? '' : ` (did you mean ${hint}?)`}; ${help}`;
}

function usageHint(error: CommanderError, message: string, command: Command): string | null {
  const options = command.options.flatMap(({ long }) => (long == null ? [] : [long]));
  if (error.code === 'commander.unknownOption') {
    return nearest(/'([^']*)'/.exec(message)?.[1]?.split('=')[0] ?? '', options);
  }
  if (error.code === 'commander.invalidArgument') {
    const [, flag, value = ''] = /option '(?:-\w, )?(--[\w-]+)[^']*' argument '([^']*)'/.exec(message) ?? [];
    const option = command.options.find(({ long }) => long === flag);
    return nearest(value, option?.argChoices ?? []);
  }
  return null;
}

/** Null for what may be a URL. */
export function commandFault(word: string): string | null {
  if (!/^[a-z][a-z-]*$/i.test(word)) return null;
  const near = nearest(word, COMMANDS);
  const hint = near === null ? '' : ` (did you mean ${near}?)`;
  return `there is no command ${word}${hint}; the commands are ${COMMANDS.join(', ')}, or give the URL of a server`;
}
