// What was found → the configuration that fits, as a file that `check` takes. Credentials are in it as they were given on the
// command line, by variable or file; one that stood in the URL is a variable there.

import { isCredential } from '../config/credentials.ts';
import { stringify } from 'yaml';
import { endpointForm } from './endpoint-form.ts';
import { guessFramework } from './frameworks.ts';
import { isSingle } from './quirks.ts';
import type { Seen } from './seen.ts';
import { shown } from './shown-text.ts';

/** What the command line said beside the URL, in its words. */
export interface GivenFlags {
  readonly headers: readonly string[];
  readonly tls: Readonly<Record<string, string | boolean>>;
  readonly messageUrl: string | null;
  readonly allowEndpointOrigins: readonly string[];
}

/** `url`: as it was given, credentials included. */
export function configurationFor(seen: Seen, url: URL, given: GivenFlags): string {
  const { text, variables } = withVariables(url);
  const headers = Object.fromEntries(given.headers.flatMap(headerOf));
  const messageUrl = given.messageUrl ?? seen.messageUrl?.href ?? null;
  const upstream = {
    url: text,
    ...(messageUrl !== null && { messageUrl: literal(messageUrl) }),
    ...(given.allowEndpointOrigins.length > 0 && { allowEndpointOrigins: given.allowEndpointOrigins }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(Object.keys(given.tls).length > 0 && { tls: literalTls(given.tls) }),
    ...(needsOneLink(seen) && { links: { single: true } }),
  };
  const notes = [
    `${shown(seen.stream.introduction?.server ?? 'a server')}, revision ${shown(seen.stream.introduction?.revision ?? 'unknown')}`,
    ...variables.map((name) => `${name}: as it stood in the URL, percent-encoded`),
  ];
  const comment = notes.map((note) => `# ${note}\n`).join('');
  return `${comment}${stringify({ upstreams: [upstream] }, { lineWidth: 0 })}`;
}

/** As a configuration says it: a text that names a variable by chance is none. A function, as `$$` in a replacement is one `$`. */
function literal(text: string): string {
  return text.replaceAll('${', () => '$${');
}

function literalTls(tls: GivenFlags['tls']): GivenFlags['tls'] {
  return Object.fromEntries(
    Object.entries(tls).map(([key, value]) => [key, typeof value === 'string' ? literal(value) : value]),
  );
}

function needsOneLink(seen: Seen): boolean {
  if (isSingle(seen)) return true;
  if (seen.second === 'independent') return false;
  const [best] = guessFramework(seen.stream, endpointForm(seen.stream.announced ?? '', seen.url));
  return best?.broadcasts === true && best.sure === 'likely';
}

/** `x-key=${KEY}` → itself, `x-key=@FILE` → `${file:FILE}`. */
function headerOf(given: string): [string, string][] {
  const [, name, value = ''] = /^\s*([^=\s]+)=(.*)$/s.exec(given) ?? [];
  if (name === undefined) return [];
  return [[name, value.startsWith('@') ? `\${file:${value.slice(1)}}` : value]];
}

function withVariables(url: URL): { readonly text: string; readonly variables: readonly string[] } {
  const variables: string[] = [];
  const variable = (name: string): string => {
    variables.push(name);
    return `\${${name}}`;
  };
  const query = url.search
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const name = at === -1 ? pair : pair.slice(0, at);
      if (at === -1 || !isCredential(name)) return literal(pair);
      return `${name}=${variable(`UPSTREAM_${name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')}`)}`;
    });
  const user = url.username === '' ? '' : variable('UPSTREAM_USER');
  const password = url.password === '' ? '' : `:${variable('UPSTREAM_PASSWORD')}`;
  const at = user + password === '' ? '' : `${user}${password}@`;
  const search = query.length === 0 ? '' : `?${query.join('&')}`;
  return { text: `${url.protocol}//${at}${url.host}${literal(url.pathname)}${search}`, variables };
}
