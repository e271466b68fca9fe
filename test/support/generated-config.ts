// What is printed from the schema of the configuration: its table, an example of a file, and the JSON Schema for editors.

import { type SchemaNode, EACH, KEYS, type Key, SCHEMA } from '../../src/config/keys.ts';
import { placeholderOf } from '../../src/verbs/flags.ts';
import { table } from './markdown-table.ts';

export const CONFIG_FILES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationPage,
  'config/proxy.schema.json': jsonSchema,
  'proxy.example.yaml': exampleFile,
};

// A text of a file may hold ${…} wherever a value belongs: what it becomes is not known before the program runs.
const SUBSTITUTED = { type: 'string', pattern: '\\$\\{[^}]*\\}' };

/** As editors use it. What it cannot say is in docs/configuration.md. */
export function jsonSchema(): string {
  const { $schema, ...schema } = forFiles(SCHEMA) as Record<string, unknown>;
  const head = {
    $schema,
    title: 'mcp-causeway',
    description: 'Printed from src/config/schema.ts by `npm run docs`.',
    $defs: { substituted: { ...SUBSTITUTED, description: '${NAME}, ${NAME:-default}, ${file:/path}' } },
  };
  return `${JSON.stringify({ ...head, ...schema }, null, 2)}\n`;
}

/** Our own notes are not part of the published schema; every plain value may be substituted. */
function forFiles(node: SchemaNode): object {
  const { properties, items, anyOf, additionalProperties, ...rest } = node;
  const example = rest['x-example'];
  const own = {
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('x-'))),
    ...(example !== undefined && { examples: [example] }),
  };
  if (properties !== undefined) {
    const children = Object.entries(properties).map(([name, child]) => [name, forFiles(child)]);
    return { ...own, properties: Object.fromEntries(children), additionalProperties };
  }
  if (items !== undefined) return { ...own, items: forFiles(items) };
  if (additionalProperties) return { ...own, additionalProperties: forFiles(additionalProperties) };
  const { description, default: standard, examples, $schema, ...type } = own as Record<string, unknown>;
  const about = { description, default: standard, examples, $schema };
  const substituted = { $ref: '#/$defs/substituted' };
  return { ...about, anyOf: anyOf === undefined ? [type, substituted] : [...anyOf.map(forFiles), substituted] };
}

function exampleFile(): string {
  const lines = [
    '# yaml-language-server: $schema=./config/proxy.schema.json',
    '#',
    '# Every key with its default. What is commented out has none: the values there are examples.',
    '# Printed from src/config/schema.ts by `npm run docs`.',
    '',
  ];
  for (const [name, node] of Object.entries(SCHEMA.properties ?? {})) {
    lines.push(...(name === 'upstreams' ? upstreamLines(node) : entry(name, node, '')), '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function upstreamLines(node: SchemaNode): string[] {
  const entries = Object.entries(node.items?.properties ?? {}).flatMap(([name, child]) => entry(name, child, '    '));
  const first = entries.findIndex((line) => !line.trimStart().startsWith('#'));
  const dashed = entries.map((line, index) => (index === first ? line.replace('    ', '  - ') : line));
  return [`# ${node.description ?? ''}`, 'upstreams:', ...dashed];
}

function entry(name: string, node: SchemaNode, indent: string): string[] {
  const comment = `${indent}# ${node.description ?? ''}`;
  // A section that is off unless it is there.
  if (node.properties !== undefined && node['x-own'] !== true && node.default === undefined)
    return [
      comment,
      `${indent}# ${name}: ${inline(node['x-example'])}`,
      ...(name === 'peers' ? [`${indent}# peers: ${inline(ofKeys(node, ['host', 'port', 'self', 'addresses']))}`] : []),
    ];
  if (node.properties !== undefined && node['x-own'] !== true) {
    const below = Object.entries(node.properties).flatMap(([key, child]) => entry(key, child, `${indent}  `));
    return [comment, `${indent}${name}:`, ...below];
  }
  if (node['x-own'] === true)
    return [`${indent}# ${node.description} alone; as ${name} below`, ownExample(name, node, indent)];
  const example = node['x-example'];
  const value = node.default ?? (name === 'url' ? example : undefined);
  const lines = [comment];
  if (value !== undefined) lines.push(`${indent}${name}: ${inline(value)}`);
  if (example !== undefined && name !== 'url') lines.push(`${indent}# ${name}: ${inline(example)}`);
  return [...lines, ...alternativeLines(name, node, indent)];
}

function ownExample(name: string, node: SchemaNode, indent: string): string {
  const [key] = Object.entries(node.properties ?? {});
  if (key === undefined) return `${indent}# ${name}: ${inline(SCHEMA.properties?.[name]?.default)}`;
  return `${indent}# ${name}: { ${key[0]}: ${inline(SCHEMA.properties?.[name]?.properties?.[key[0]]?.default)} }`;
}

/** A section that may stand in place of a word. */
function alternativeLines(name: string, node: SchemaNode, indent: string): string[] {
  if (name === 'outbound') return [`${indent}# outbound: headers`];
  if (name === 'store') {
    const form = node.anyOf?.find(({ properties }) => properties !== undefined);
    return form === undefined ? [] : [`${indent}# store: ${inline(ofKeys(form, ['url', 'ca', 'prefix']))}`];
  }
  if (name !== 'inbound') return [];
  const jwt = ['issuer', 'jwksUri', 'audience', 'scopes', 'algorithms', 'clockTolerance'];
  const shown = (form: string, keys: readonly string[]): string => {
    const known = node.anyOf?.find(({ properties }) => properties?.[form] !== undefined)?.properties?.[form]
      ?.properties;
    const list = keys.map((key) => `${key}: ${inline(known?.[key]?.['x-example'] ?? known?.[key]?.default)}`);
    return `${indent}# inbound: { ${form}: { ${list.join(', ')} } }`;
  };
  return [shown('bearer', ['keys']), shown('jwt', jwt), shown('jwt', ['issuer', 'jwksFile'])];
}

/** Of a section: what these keys may say. */
function ofKeys({ properties = {} }: SchemaNode, keys: readonly string[]): object {
  return Object.fromEntries(keys.map((key) => [key, properties[key]?.['x-example'] ?? properties[key]?.default]));
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map(inline).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([name, each]) => `${name}: ${inline(each)}`);
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  }
  const text = String(value);
  return typeof value === 'string' && !/^[A-Za-z/][\w./:-]*$|^\d+(?:ms|s|m|h|B|MiB)$|^127[\d.]+$/.test(text)
    ? `'${text}'`
    : text;
}

function configurationPage(): string {
  return [
    '# Configuration',
    '',
    '<!-- Printed from src/config/schema.ts by `npm run docs`. -->',
    '',
    'Defaults are overridden by the file (`-c FILE`, or `CAUSEWAY_CONFIG`), the file by the environment, the environment by',
    'flags. Every key has one name everywhere: `links.idleTimeout`, `CAUSEWAY_LINKS_IDLE_TIMEOUT`, `--links-idle-timeout`. The',
    'environment alone is enough to run: `CAUSEWAY_UPSTREAM=http://old:9001/sse mcp-causeway`.',
    '',
    '[proxy.example.yaml](../proxy.example.yaml) is a file with every key; [config/proxy.schema.json](../config/proxy.schema.json)',
    'lets editors complete and check it. `mcp-causeway check -c FILE` names everything that is wrong with a file, and with',
    '`--print-effective` prints every value in effect, without secrets. `mcp-causeway doctor -c FILE` says whether what it names would',
    'work here ([doctor.md](doctor.md)).',
    '',
    '## Values',
    '',
    '- Durations have a unit (`250ms`, `5s`, `1.5m`, `2h`, `1d`; at most 23 days), sizes too (`64KiB`, `4MiB`, `1.5GB`; below 2 GiB).',
    '- In a file every text may hold `${NAME}`, `${NAME:-default}` and `${file:/path}`; `$${` stands for `${`. A variable that is',
    '  not set and a file that cannot be read are errors at their place, in a header an empty one too, unless it is written',
    '  `${NAME:-}`. Inside braces and brackets such a text must be quoted.',
    '- `--header NAME=${VAR}` and `--header NAME=@FILE` may be repeated; quote the first, or the shell replaces it. A credential',
    '  written out on the command line is refused: others could read it in the list of processes. `CAUSEWAY_HEADER` takes one',
    '  `NAME=VALUE` per line.',
    '- Lists are separated by commas or spaces in flags and variables; `CAUSEWAY_INBOUND_BEARER_KEYS` holds `NAME=SHA256` for',
    '  each key. An empty variable counts as one that is not set.',
    '- A variable that begins with `CAUSEWAY_` and is no key is an error. Those that Kubernetes makes up for a Service called',
    '  `causeway` are passed over.',
    '',
    '## Keys',
    '',
    'What is marked *own* can also be set in an upstream, for it alone; a flag or a variable goes for all of them. Where a file',
    'names several servers, flags and variables of `upstreams[]` are refused, but for `mode` and `asks`. *Live* says whether a',
    'change in the file takes effect without a restart: see [Reload](#reload).',
    '',
    table(['key', 'variable', 'flag', 'default', 'meaning', 'own', 'live'], KEYS.map(rowOf)),
    '',
    '## Reload',
    '',
    'SIGHUP, or `POST /-/reload` on the listener of `admin`, has the same file read anew, with the environment and the flags of the',
    'start; the files behind `${file:}`, and those of `listen.tls` and `admin.tls`, too: a renewed certificate is shown to whoever',
    'connects from then on, and nobody who is connected notices. Without a file, and without TLS, a SIGHUP stops the gateway, as',
    'SIGINT does. A configuration that is wrong anywhere changes nothing: what is wrong with it is in the',
    'log, and in the 400 of `/-/reload`. Else an upstream whose settings are the same, its own and the general ones that go for it,',
    'keeps its connections and sessions. One that has changed, by whichever key, is replaced: requests go to the new one at once,',
    'calls in flight get `drain.timeout` to finish on the old one, those too that wait for answers of their client, then its sessions',
    'end, and their clients initialize anew. That is so too for a sole upstream that gets company, unless its `legacy` is given: it',
    'is served to old clients by default only as long as it is alone.',
    '',
    'Sessions, listens and streams of old clients end whose callers are let in no more, or not with the key that they were opened',
    'with: a key that has leaked is shut out by another digest under the same name. A name may have two keys while callers change',
    'over. What is not live stays as it was until a restart, and is named in a warning. `check` tells beforehand whether a file',
    'would be taken.',
    '',
    '## What the JSON Schema does not know',
    '',
    'Two upstreams with one name, two things at one path or address, a port over 65535 inside a URL, a URL whose credentials are not',
    'percent-encoded, one header in two spellings, a secret that can be guessed, one digest with two names or of an empty key,',
    '`inbound.jwt` without `publicUrl` or with keys from nowhere or from two places, what a file of `tls` holds, an `outbound` that',
    'something else contradicts, and what a `${…}` becomes: `check` does.',
    '',
    '## Secrets',
    '',
    'Session ids, request states and the URLs that old clients post to are tokens which only the gateway can make and read. By',
    'default the key for that is random and of the process. With `secrets.current` it is made from what is given, and processes',
    'that share it can read each other’s tokens: a call that waits for nothing (a user who was sent to a URL) can be made again',
    'at another. Sessions, held calls and streams live in the process that opened them, and end with it: elsewhere, and after a',
    'restart, their tokens are unknown. `openssl rand -base64 32` makes one; a file of it should be readable by the gateway alone.',
    '',
    'To rotate, put the old one into `previous` and a new one into `current`, and reload: what is open goes on, and new tokens are',
    'sealed with the new one. When `timeouts.sessionMax` has passed nothing needs `previous` any more. A file of secrets that',
    'everybody on the machine may read is a warning.',
    '',
  ].join('\n');
}

function rowOf(key: Key): string[] {
  const { name, variable, flag, node, ownable } = key;
  const standard = node.default === undefined ? '–' : `\`${inline(node.default)}\``;
  return [
    `\`${name}\``,
    variable === undefined ? '–' : `\`${variable}\``,
    flag === undefined ? '–' : `\`--${flag} ${placeholderOf(key)}\``,
    standard,
    node.description ?? '',
    ownable ? 'yes' : key.path.includes(EACH) ? '–' : 'no',
    node['x-live'] === false ? 'no' : 'yes',
  ];
}
