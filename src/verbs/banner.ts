// What a person at a terminal sees at the start: what is served where, who answered behind it, and how to use it.

import { redactedUrl } from '../config/redacted-url.ts';
import type { Config } from '../config/schema.ts';
import type { Contact } from './first-contact.ts';
import { snippets } from './snippets.ts';

export interface Served {
  readonly upstream: Config['upstreams'][number];
  readonly endpoint: string;
  readonly contact: Contact;
  /** There is one link for everything. */
  readonly isSingle: boolean;
}

export function banner(version: string, served: readonly Served[], needsKey: boolean): string {
  const [first] = served;
  const lines = [`mcp-causeway ${version}`, '', ...served.flatMap(described), ''];
  if (first !== undefined) {
    const { name, mode } = first.upstream;
    lines.push(served.length > 1 ? `Connect to ${name}:` : 'Connect:', '');
    const of = { endpoint: first.endpoint, name: name === 'default' ? 'causeway' : name, mode, needsKey };
    for (const { client, text } of snippets(of)) lines.push(`  ${client}`, `  ${text}`, '');
  }
  return `\n${lines.join('\n')}\n`;
}

function described({ upstream, endpoint, contact, isSingle }: Served): string[] {
  const urls = upstream.urls.map(redactedUrl).join(', ');
  return [
    `  ${endpoint}`,
    `    server    ${urls}${upstream.name === 'default' ? '' : ` (${upstream.name})`}`,
    `    answered  ${answered(contact)}`,
    ...(upstream.legacy === false || isSingle
      ? []
      : [`    old       ${new URL(upstream.legacy.sse, endpoint).href}, for clients that speak HTTP+SSE`]),
    ...(isSingle ? ['    quirk     everything goes over one connection (links.single)'] : []),
    ...(upstream.mode === 'auto' ? [] : [`    mode      ${upstream.mode}`]),
  ];
}

function answered(contact: Contact): string {
  switch (contact.state) {
    case 'up':
      return `${contact.server}, revision ${contact.revision}`;
    case 'down':
      return `no: ${contact.why}`;
    case 'unknown':
      return 'not yet; the gateway keeps trying';
  }
}
