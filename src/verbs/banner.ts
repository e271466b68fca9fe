// What a person at a terminal sees at the start: what is served where, who answered behind it, and how to use it.

import { printable } from '../config/printable.ts';
import { redactedUrl } from '../config/redacted-url.ts';
import type { Config } from '../config/schema.ts';
import type { Contact, Quirk } from './first-contact.ts';
import { type SnippetOptions, snippets } from './snippets.ts';

export interface Served {
  readonly upstream: Config['upstreams'][number];
  /** As somebody on this machine dials it. */
  readonly endpoint: string;
  /** As clients do, where that is configured. */
  readonly publicEndpoint: string | null;
  readonly needs: SnippetOptions['needs'];
  readonly contact: Contact;
  /** There is one link for everything. */
  readonly isSingle: boolean;
  readonly quirks: readonly Quirk[];
}

/** What they mean for who runs it. */
const QUIRKS: { readonly [quirk in Quirk]: string } = {
  single: 'everything goes over one connection (links.single)',
  broadcasts: 'it sends answers to connections that did not ask, so everything goes over one; --single says so at once',
  dies_of_a_second_link: 'its connections die when another is opened: if it survives only one, start with --single',
  offers_tasks: 'it offers tasks, which are not passed on; its tools answer when they are done',
  asks_at_once: 'it asks its client before any call: a session answers that, a request without one cannot',
  sends_no_json_rpc: 'it sends messages that are no JSON-RPC; they are dropped, and the log says why',
  sends_unknown_events: 'it sends events that the transport does not have; they are dropped, and counted in the log',
};

/** `adminOrigin`: where whoever runs it looks; null: nowhere. */
export function banner(version: string, served: readonly Served[], adminOrigin: string | null = null): string {
  const [first] = served;
  const status = adminOrigin === null ? [] : [`  ${adminOrigin}/`, '    status    for a browser; metrics at /metrics'];
  const lines = [`mcp-causeway ${version}`, '', ...served.flatMap(described), ...status, ''];
  if (first !== undefined) {
    const { name, mode } = first.upstream;
    lines.push(served.length > 1 ? `Connect to ${name}:` : 'Connect:', '');
    const of = {
      endpoint: first.publicEndpoint ?? first.endpoint,
      name: name === 'default' ? 'causeway' : name.replaceAll('.', '-'),
      mode,
      needs: first.needs,
    };
    for (const { client, text } of snippets(of)) lines.push(`  ${client}`, `  ${text}`, '');
  }
  return `\n${lines.join('\n')}\n`;
}

function described({ upstream, endpoint, contact, isSingle, quirks }: Served): string[] {
  const urls = upstream.urls.map(redactedUrl).join(', ');
  return [
    `  ${endpoint}`,
    `    server    ${urls}${upstream.name === 'default' ? '' : ` (${upstream.name})`}`,
    `    answered  ${answered(contact, upstream)}`,
    ...(upstream.legacy === false || isSingle
      ? []
      : [`    old       ${new URL(upstream.legacy.sse, endpoint).href}, for clients that speak HTTP+SSE`]),
    ...quirks.map((quirk) => `    quirk     ${QUIRKS[quirk]}`),
    ...(upstream.mode === 'auto' ? [] : [`    mode      ${upstream.mode}`]),
  ];
}

function answered(contact: Contact, { outbound }: Served['upstream']): string {
  switch (contact.state) {
    case 'up':
      return printable(`${contact.server}, revision ${contact.revision}`);
    case 'down':
      return `no: ${contact.why}`;
    case 'unknown':
      return typeof outbound === 'string'
        ? 'not yet; the gateway keeps trying'
        : 'is asked when a caller comes, who brings the credential (outbound.forward)';
  }
}
