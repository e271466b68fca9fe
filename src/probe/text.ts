// What a probe found, for people: lines of a label and a value, made from the document that --json prints.

import type { ProbeDocument } from './document.ts';

const LABEL_WIDTH = 12;
/** A certificate that ends sooner is worth a word. */
const SOON_DAYS = 30;

export function textOf(document: ProbeDocument): string {
  const { url, says, frameworks, quirks, next } = document;
  const lines: [label: string, value: string][] = [['is', says], ...offers(document)];
  for (const { name, sure, because } of frameworks.slice(0, 1)) {
    lines.push(['made with', `${name}, ${sure === 'likely' ? 'likely' : 'possibly'}`], ['', `(${because.join(', ')})`]);
  }
  for (const { name } of frameworks.slice(1)) lines.push(['or', name]);
  lines.push(...connection(document));
  for (const quirk of frameworks[0]?.quirks ?? []) lines.push(['known for', quirk]);
  for (const quirk of quirks) lines.push(['quirk', quirk]);
  for (const found of document.elsewhere) {
    lines.push(['found', `${found.is === 'http_sse' ? 'HTTP+SSE' : 'Streamable HTTP'} at ${found.url}`]);
  }
  if (document.outOfTime) lines.push(['note', 'time was up before everything was tried: --timeout']);
  lines.push(['next', next]);
  return `\n${url}\n\n${lines.map(([label, value]) => `  ${label.padEnd(LABEL_WIDTH)}${value}\n`).join('')}\n`;
}

function offers({ httpSse, streamableHttp }: ProbeDocument): [string, string][] {
  const lines: [string, string][] = [];
  if (httpSse !== null) {
    lines.push(['server', `${httpSse.server}, revision ${httpSse.revision}`], ['offers', offered(httpSse)]);
  }
  if (streamableHttp !== null) {
    const { url, revisions, sessions, server } = streamableHttp;
    const how = `${revisions.join(', ')}, ${sessions ? 'with' : 'without'} sessions`;
    lines.push(['streamable', `${url}: ${how}`]);
    if (httpSse === null) lines.push(['server', server], ['offers', offered(streamableHttp)]);
  }
  return lines;
}

type Offer = Pick<NonNullable<ProbeDocument['httpSse']>, 'tools' | 'prompts' | 'resources' | 'capabilities'>;

const STOPPED = {
  time: 'or more: no answer in time',
  pages: 'or more',
  repeats: 'or more: its cursors repeat',
  refused: 'or more: it refuses to list them',
} as const;

function offered({ tools, prompts, resources, capabilities }: Offer): string {
  const parts = Object.entries({ tools, prompts, resources }).flatMap(([name, counted]) => {
    if (counted === null) return [];
    return [`${counted.count} ${name}${counted.stopped === null ? '' : ` (${STOPPED[counted.stopped]})`}`];
  });
  const others = capabilities.filter((name) => !['tools', 'prompts', 'resources'].includes(name));
  return [...parts, ...others].join(', ') || 'nothing';
}

function connection(document: ProbeDocument): [string, string][] {
  const { endpoint, timingsMs, heartbeat, http, tls, failure, secondConnection } = document;
  const lines: [string, string][] = [];
  if (endpoint !== null) lines.push(['endpoint', endpointText(endpoint)]);
  const steps = Object.entries(timingsMs).flatMap(([step, took]) => (took === null ? [] : [`${step} ${took} ms`]));
  if (steps.length > 0) lines.push(['took', steps.join(', ')]);
  if (heartbeat !== null) lines.push(['heartbeat', heartbeatText(heartbeat)]);
  if (http !== null) {
    const told = Object.entries(http.headers).map(([name, value]) => `${name}: ${value}`);
    lines.push(['http', [String(http.status), ...told].join('; ')]);
  }
  if (tls !== null) lines.push(...tlsLines(tls));
  if (secondConnection !== null) lines.push(['second', SECOND[secondConnection]]);
  if (failure !== null) {
    const network = failure.network === null || failure.why.includes(failure.network) ? '' : `, ${failure.network}`;
    lines.push(['failed', `${failure.why} (${failure.reason}${network})`]);
  }
  return lines;
}

const SECOND: { readonly [each in NonNullable<ProbeDocument['secondConnection']>]: string } = {
  independent: 'a second stream lives beside the first',
  refused: 'a second stream is refused',
  ends_first: 'a second stream ends the first',
  takes_over: 'a second stream takes over the answers of the first',
  broadcasts: 'each stream gets the answers of the other too',
  unknown: 'time was up before that was known',
};

function endpointText(endpoint: NonNullable<ProbeDocument['endpoint']>): string {
  const { form, path, origin, session, parameter, messageUrl } = endpoint;
  const where = session === 'query' ? `?${parameter ?? ''}=***` : '';
  const isOwn = session === 'none' ? ', names no session' : '';
  const instead = messageUrl === null ? '' : `; posted to ${messageUrl} instead`;
  return `${origin ?? ''}${path}${where} (${form}${isOwn})${instead}`;
}

function heartbeatText({ kind, everyMs, listenedMs }: NonNullable<ProbeDocument['heartbeat']>): string {
  const listened = `in ${(listenedMs / 1000).toFixed(1)} s`;
  if (kind === null) return `none ${listened}`;
  const what = { comment: 'a comment', ping: 'a ping request', event: 'an event of its own' }[kind];
  return everyMs === null ? `${what}, once ${listened}` : `${what} every ${(everyMs / 1000).toFixed(1)} s`;
}

function tlsLines(tls: NonNullable<ProbeDocument['tls']>): [string, string][] {
  const { protocol, subject, issuer, validTo, daysLeft, distrust } = tls;
  const left = daysLeft === null ? '' : daysLeft < 0 ? ', over' : `, ${daysLeft} days left`;
  const soon = daysLeft !== null && daysLeft >= 0 && daysLeft < SOON_DAYS ? ': renew it' : '';
  return [
    ['tls', `${protocol}, ${distrust === null ? 'trusted' : `not trusted (${distrust})`}`],
    ['certificate', `${subject || 'without a subject'}; by ${issuer || 'nobody'}; until ${validTo}${left}${soon}`],
  ];
}
