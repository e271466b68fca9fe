// The flags: one for every key of the configuration, made from it, and the few that are no keys.

import { type Command, type CommanderError, Option, InvalidArgumentError } from 'commander';
import { FILE_VARIABLE, type Flags } from '../config/assignments.ts';
import { isName } from '../config/credentials.ts';
import { KEYS, type Key } from '../config/keys.ts';
import { nearest } from '../config/nearest.ts';
import { redactedText } from '../config/redacted-url.ts';

/** Shown by --help; the others are in docs/configuration.md. */
const SHOWN = ['listen', 'admin', 'header', 'mode', 'log-format', 'log-level'];

/** What stands for another flag. */
const SHORT: Readonly<Record<string, { readonly flag: string; readonly value: string }>> = {
  single: { flag: 'links-single', value: 'true' },
};

/** How one server is reached. */
const OF_A_SERVER = [
  'header',
  'message-url',
  'allow-endpoint-origins',
  'tls-ca',
  'tls-cert',
  'tls-key',
  'tls-server-name',
  'tls-insecure-skip-verify',
];

export const COMMANDS = ['serve', 'demo', 'check', 'probe', 'doctor', 'healthcheck', 'version'];

export type Parsed = Readonly<Record<string, unknown>>;

export function withConfigFlags(command: Command): Command {
  command.addOption(new Option('--single', 'one link for everything: for servers that survive one connection only'));
  return withFlagsOf(KEYS, command);
}

/** Those of one server alone. */
export function withServerFlags(command: Command): Command {
  return withFlagsOf(
    KEYS.filter(({ flag }) => OF_A_SERVER.includes(flag ?? '')),
    command,
  );
}

function withFlagsOf(keys: readonly Key[], command: Command): Command {
  const seen = new Set<string>();
  for (const key of keys) {
    if (key.flag === undefined || seen.has(key.flag)) continue;
    seen.add(key.flag);
    command.addOption(optionOf(key, key.flag));
  }
  return command;
}

export function withFileFlag(command: Command): Command {
  return command.option(
    '-c, --config <FILE>',
    `the configuration file (or ${FILE_VARIABLE})`,
    (text: string, before: string | undefined) => {
      if (before !== undefined) throw new InvalidArgumentError('There is one file: it was given twice.');
      return text;
    },
  );
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
  if (flag === 'admin') return 'where metrics and status are served; nowhere if not given';
  if (flag === 'header') return 'sent with every request to the server; may be repeated';
  return node.description ?? '';
}

function defaultOf({ flag, node }: Key): string {
  if (flag === 'listen') return ' (default 127.0.0.1:8080)';
  if (flag === 'admin') return '';
  return typeof node.default === 'string' ? ` (default ${node.default})` : '';
}

export function placeholderOf({ flag, node }: Key): string {
  if (flag === 'listen' || flag === 'admin') return 'HOST:PORT';
  if (/-tls-(?:cert|key)$/.test(flag ?? '')) return 'FILE';
  if (flag === 'header') return 'NAME=${VAR}|NAME=@FILE';
  if (node['x-secret'] === true) return '${VAR}|@FILE';
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

/** What commander says of a command line that it cannot use, with the nearest that it could; nothing of it is a secret. */
export function usageError(error: CommanderError, command: Command, given: readonly string[]): string {
  // Of a misspelt command the flags are unknown too.
  const fault = command.parent === null ? (commandFault(given[2] ?? '') ?? laterFault(given.slice(3))) : null;
  if (fault !== null) return fault;
  const help = `see mcp-causeway ${command.parent === null ? '' : `${command.name()} `}--help`;
  if (error.code === 'commander.excessArguments') return `${excess(command)}; ${help}`;
  const message = error.message
    .replace(/^error: /, '')
    .replace(/^(unknown option '[^=]*)=.*'$/s, "$1'")
    .replace(/ argument '.*' is invalid\. /s, ': ')
    .trim();
  const hint = usageHint(error, command);
  return `${message}${hint === null ? '' : ` (did you mean ${hint}?)`}; ${help}`;
}

/** Of a command after flags: only where it is plain which one is meant, as a word there may be the value of a flag. */
function laterFault(words: readonly string[]): string | null {
  const meant = words.find((word) => commandFault(word) !== null && nearest(word, COMMANDS) !== null);
  return meant === undefined ? null : commandFault(meant);
}

function excess(command: Command): string {
  if (command.parent === null) return 'too many arguments: give one URL; several servers belong into a file';
  const given = redactedText(command.args[0] ?? '');
  const word = isName(given) || given !== command.args[0] || /[./]/.test(given) ? given : 'FILE';
  if (command.name() === 'probe' || (command.name() === 'doctor' && /^https?:/i.test(command.args[0] ?? '')))
    return 'too many arguments: give one URL';
  if (!command.options.some(({ long }) => long === '--config')) {
    return `too many arguments: ${command.name()} takes none`;
  }
  if (!/^https?:/i.test(word)) return `too many arguments: a file is named with -c ${word}`;
  return command.name() === 'serve'
    ? `too many arguments: a URL needs no verb: mcp-causeway ${word}`
    : `too many arguments: a URL is given with --upstream ${word}`;
}

function usageHint(error: CommanderError, command: Command): string | null {
  const { message } = error;
  if (error.code === 'commander.unknownOption') return flagHint(/'([^']*)'/.exec(message)?.[1] ?? '', command);
  if (error.code === 'commander.invalidArgument') {
    const [, flag, value = ''] = /option '(?:-\w, )?(--[\w-]+)[^']*' argument '([^']*)'/.exec(message) ?? [];
    const option = command.options.find(({ long }) => long === flag);
    return nearest(value, option?.argChoices ?? []);
  }
  return null;
}

/** The flag of another command that is called just so, else the nearest of this one, else that of another. */
function flagHint(flag: string, command: Command): string | null {
  const { commands } = command.parent ?? command;
  const hintOf = (name: string): string | null => {
    const other = commands.find(({ options }) => namesOf(options).includes(name));
    return other === undefined ? null : `mcp-causeway ${other.name()} ${name}`;
  };
  // Help is none of the options, but is shown among them.
  const shown = command.createHelp().visibleOptions(command);
  const own = hintOf(flag) ?? nearest(flag, namesOf([...command.options, ...shown]));
  if (own !== null) return own;
  const elsewhere = nearest(flag, new Set(commands.flatMap(({ options }) => namesOf(options))));
  return elsewhere === null ? null : hintOf(elsewhere);
}

function namesOf(options: readonly Option[]): string[] {
  return options.flatMap(({ long, short }) => [long, short]).filter((name) => typeof name === 'string');
}

/** Null for a command, and for what may be a URL. */
export function commandFault(word: string): string | null {
  const known = [...COMMANDS, 'help'];
  if (!/^[a-z][a-z-]*$/i.test(word) || known.includes(word)) return null;
  const near = nearest(word, known);
  const hint = near === null ? '' : ` (did you mean ${near}?)`;
  return `there is no command ${word}${hint}; the commands are ${COMMANDS.join(', ')}, or give the URL of a server`;
}
