// A line of a configuration file as it may be shown beside a fault: as long as it is, so that carets stay below what is
// meant, and without what could be a secret. People put secrets in wrong places, under misspelt keys, and into YAML that is
// none; so it is not asked what is secret, but what is none: keys, punctuation, and values of a few shapes. All else is
// struck out. One line at a time, without the help of a parser: it works for broken files too.

import { isCredential, isName } from './credentials.ts';
import { KEYS, type SchemaNode, SCHEMA } from './keys.ts';
import { nearest } from './nearest.ts';

const BLANKS_AND_BRACKETS = /[\s{}[\],]+|[-?](?=\s|$)/y;
/** In quotes or not; the colon behind it is what makes it a key. */
const KEY = /(?:"[\w.-]{1,64}"|'[\w.-]{1,64}')\s*:|[\w.-]{1,64}\s*:(?=[\s,}\]]|$)/y;
const QUOTED = /"(?:[^"\\]|\\.)*(?:"|$)|'(?:[^']|'')*(?:'|$)/y;
const PLAIN = /[^\s].*?(?=\s+#|\s*$)/y;
const PLAIN_IN_BRACKETS = /[^\s].*?(?=\s*[,}\]]|\s+#|\s*$)/y;

/** Without a default, which could be a secret itself. */
const PLACEHOLDER = /\$\{(?:\w+|file:[^}\s]*)\}/g;
const SAFE_SHAPES = [
  // Numbers, durations and sizes.
  /^-?\d{1,9}(?:\.\d{1,4})?(?: ?(?:ms|s|m|min|h|d|B|[KMG]iB|[kMG]B|years?|sec(?:onds?)?|min(?:utes?)?|hours?|days?))?$/,
  /^(?:true|false|yes|no|on|off|null|~)$/i,
  // Addresses to listen on.
  /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[?::1?\]?)(?::\d{1,5})?$/,
  // How a text of several lines begins.
  /^[|>][-+\d]{0,2}$/,
];
/** On a line that would take long to read. */
const MAX_LENGTH = 20_000;
const PATH = /^\/[\w./-]*$/;
const PATH_KEYS = ['path', 'sse', 'messages'];
const URL_START = /^[a-z]{2,6}:\/\/\S*$/i;

const NAMES = new Set(KEYS.flatMap(({ path }) => [...path]));
/** Whatever stands there instead of what belongs there may be a secret, a number too. */
const OF_SECRETS = ['headers', 'bearer', 'keys', 'secrets', 'current', 'previous'];
const WORDS = [...new Set(wordsOf(SCHEMA))];

export function shownLine(line: string): string {
  if (line.length > MAX_LENGTH) return struckOut(line);
  let shown = '';
  let at = 0;
  let depth = 0;
  let key: string | null = null;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const text = pattern.exec(line)?.[0] ?? '';
    at += text.length;
    return text === '' ? null : text;
  };
  /** What is read next may be a key: at the start of the line, behind a dash, a bracket or a comma. */
  let isAtKey = true;
  while (at < line.length) {
    const between = take(BLANKS_AND_BRACKETS);
    if (between !== null) {
      shown += between;
      for (const each of between) depth += Number('{['.includes(each)) - Number('}]'.includes(each));
      if (/[{}[\],]/.test(between)) {
        isAtKey = true;
        key = null;
      }
      continue;
    }
    const found = isAtKey ? take(KEY) : null;
    if (found !== null) {
      key = found.replaceAll(/["':\s]/g, '');
      shown += isName(key) ? found : struckOut(found.slice(0, -1)) + found.slice(-1);
      isAtKey = false;
      continue;
    }
    const value = take(QUOTED) ?? take(depth > 0 ? PLAIN_IN_BRACKETS : PLAIN) ?? line.slice(at);
    if (value === line.slice(at)) at = line.length;
    shown += shownValue(value, key);
    isAtKey = false;
  }
  return shown;
}

function shownValue(value: string, key: string | null): string {
  const [, open = '', inside = value] = /^(["'])(.*)\1$/s.exec(value) ?? [];
  return open + (isShowable(inside, key) ? withoutSecrets(inside) : placeholdersOf(inside)) + open;
}

function placeholdersOf(value: string): string {
  let shown = '';
  let at = 0;
  for (const { 0: placeholder, index } of value.matchAll(PLACEHOLDER)) {
    shown += struckOut(value.slice(at, index)) + placeholder;
    at = index + placeholder.length;
  }
  return shown + struckOut(value.slice(at));
}

function isShowable(value: string, key: string | null): boolean {
  if (value === '') return true;
  if (key !== null && !isKnownName(key)) return false;
  if (URL_START.test(value) || isNearlyWord(value)) return true;
  // A number alone on its line may be the rest of anything.
  if (key === null) return false;
  return SAFE_SHAPES.some((shape) => shape.test(value)) || (PATH_KEYS.includes(key) && PATH.test(value));
}

/** Of the configuration, or a misspelling of one: headers have names of other people's choice, and secret values. */
function isKnownName(key: string): boolean {
  const meant = NAMES.has(key) ? key : isCredential(key) ? null : nearest(key, NAMES);
  return meant !== null && !OF_SECRETS.includes(meant);
}

/** One of the words that may stand somewhere, or a misspelling that is as long: what is longer may be a secret. */
function isNearlyWord(value: string): boolean {
  if (value.length > 20) return false;
  const word = nearest(value, WORDS);
  return word !== null && Math.abs(word.length - value.length) <= 2;
}

/** Of a URL: user name, password, query and fragment, also where it is broken, rather too much than too little. */
function withoutSecrets(value: string): string {
  return value.replace(/(?<=\/\/).*(?=@)/, struckOut).replace(/(?<=[?#]).+/, struckOut);
}

function struckOut(text: string): string {
  return text.replaceAll(/[^\t]/g, '*');
}

function wordsOf(node: SchemaNode): string[] {
  const children = [
    ...Object.values(node.properties ?? {}),
    ...(node.anyOf ?? []),
    ...(node.items === undefined ? [] : [node.items]),
  ];
  const own = [node.const, ...(node.enum ?? [])].filter((each) => typeof each === 'string');
  return [...own, ...children.flatMap(wordsOf)];
}
