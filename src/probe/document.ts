// What a probe found, as the document that --json prints: one schema, of which config/probe.schema.json is printed. Everything
// that a server said is in it as inert text, and no credential is: the text for people is made from it.

import { z } from 'zod';
import { redactedUrl } from '../config/redacted-url.ts';
import { type EndpointForm, endpointForm } from './endpoint-form.ts';
import { FRAMEWORKS, guessFramework } from './frameworks.ts';
import { heartbeatOf } from './heartbeat.ts';
import { KINDS } from './kinds.ts';
import { quirksOf } from './quirks.ts';
import { type CertificateSeen, type Counts, type Introduction, LISTS, type Seen } from './seen.ts';
import { shown } from './shown-text.ts';
import { verdictOf } from './verdict.ts';

const keysOf = <Key extends string>(table: Readonly<Record<Key, unknown>>): [Key, ...Key[]] => {
  // Tables have a row at least.
  return Object.keys(table) as [Key, ...Key[]];
};

const text = (description: string) => z.string().meta({ description });
const ms = z.number().min(0).nullable();

const counted = z
  .strictObject({
    count: z.int().min(0),
    stopped: z
      .enum(['time', 'pages', 'repeats', 'refused'])
      .nullable()
      .meta({ description: 'why there may be more than were counted; null: these are all' }),
  })
  .nullable()
  .meta({ description: 'null: the server does not say that it has any' });

const offer = {
  server: text('name and version, as the server says them'),
  capabilities: z.array(z.string()).meta({ description: 'the names of what it offers' }),
  tools: counted,
  prompts: counted,
  resources: counted,
};

export const probeSchema = z.strictObject({
  version: z
    .literal(1)
    .meta({ description: 'of this format: members may be added to it, none is taken away or changed' }),
  url: text('what was probed, without credentials and query'),
  kind: z.enum(keysOf(KINDS)).meta({ description: 'what it is' }),
  usable: z
    .enum(['bridge', 'native', 'no'])
    .meta({ description: 'bridge: with the gateway before it; native: by clients of Streamable HTTP as it is' }),
  says: text('the kind, in words'),
  next: text('what to do next'),
  httpSse: z
    .strictObject({ revision: text('what was agreed on'), ...offer })
    .nullable()
    .meta({ description: 'what it is on the old transport; null: not there, or not usable' }),
  streamableHttp: z
    .strictObject({
      url: z.string(),
      revisions: z.array(z.string()).meta({ description: 'newest first' }),
      sessions: z.boolean().meta({ description: 'it gives out an Mcp-Session-Id' }),
      ...offer,
    })
    .nullable()
    .meta({ description: 'null: not spoken at the URL, nor at /mcp beside an event stream; or not asked' }),
  frameworks: z
    .array(
      z.strictObject({
        id: z.enum(keysOf(FRAMEWORKS)),
        name: z.string(),
        sure: z.enum(['likely', 'possible']),
        because: z.array(z.string()).meta({ description: 'in what its stream looks like it' }),
        quirks: z.array(z.string()),
      }),
    )
    .meta({ description: 'guesses, the best first; empty: nothing that is known looks like this' }),
  quirks: z.array(z.string()).meta({ description: 'what was seen of it and is worth knowing' }),
  endpoint: z
    .strictObject({
      form: z.enum(['root-relative', 'relative', 'query', 'absolute', 'other-origin', 'none']),
      path: text('without query and session'),
      origin: z.string().nullable().meta({ description: 'where it is another than that of the stream' }),
      session: z.enum(['query', 'path', 'none']).meta({ description: 'where the session is in it' }),
      parameter: z.string().nullable(),
      messageUrl: z
        .string()
        .nullable()
        .meta({ description: 'where messages were posted instead; set it in the upstream' }),
    })
    .nullable()
    .meta({ description: 'what the server announced; null: nothing' }),
  timingsMs: z
    .strictObject({ dns: ms, tcp: ms, tls: ms, head: ms, endpoint: ms, initialize: ms })
    .meta({ description: 'each step by itself; null: not come to, or nothing to do' }),
  heartbeat: z
    .strictObject({
      listenedMs: z.number().min(0),
      kind: z.enum(['comment', 'ping', 'event']).nullable().meta({ description: 'null: there was none in that time' }),
      everyMs: z.number().min(0).nullable().meta({ description: 'null: it came once at most' }),
    })
    .nullable(),
  http: z
    .strictObject({
      status: z.int(),
      headers: z.record(z.string(), z.string()).meta({ description: 'those that tell servers and proxies apart' }),
    })
    .nullable()
    .meta({ description: 'the answer to the GET; null: there was none' }),
  tls: z
    .strictObject({
      protocol: z.string(),
      subject: z.string(),
      issuer: z.string(),
      names: z.string(),
      validFrom: z.string(),
      validTo: z.string(),
      daysLeft: z.int().nullable(),
      distrust: z.string().nullable().meta({ description: 'null: it is trusted; else the code of why not' }),
    })
    .nullable()
    .meta({ description: 'null: http, or there was no handshake' }),
  secondConnection: z
    .enum(['independent', 'refused', 'ends_first', 'takes_over', 'broadcasts', 'unknown'])
    .nullable()
    .meta({ description: 'what a second event stream did to the first; null: nobody asked for one' }),
  elsewhere: z
    .array(z.strictObject({ url: z.string(), is: z.enum(['http_sse', 'streamable_http']) }))
    .meta({ description: 'what was found at one of the usual paths of the same server' }),
  failure: z
    .strictObject({
      reason: text('as the gateway calls it: docs/errors.md'),
      why: z.string(),
      network: z.string().nullable().meta({ description: 'the code of the system, where a socket failed' }),
    })
    .nullable()
    .meta({ description: 'why the event stream could not be used' }),
  outOfTime: z.boolean().meta({ description: 'more could have been found with a longer --timeout' }),
});

export type ProbeDocument = z.output<typeof probeSchema>;

/** `now`: milliseconds of the calendar. */
export function documentOf(seen: Seen, now: number): ProbeDocument {
  const { url, stream, streamable, certificate, elsewhere } = seen;
  const endpoint = stream.announced === null ? null : endpointForm(stream.announced, url);
  const guesses = endpoint === null ? [] : guessFramework(stream, endpoint);
  const { introduction, failure } = stream;
  return {
    version: 1,
    url: redactedUrl(url),
    ...verdictOf(seen),
    httpSse:
      introduction === null
        ? null
        : { revision: introduction.revision, ...offered(introduction, stream.counts ?? NOTHING_COUNTED) },
    streamableHttp:
      streamable?.speaks !== true
        ? null
        : {
            url: redactedUrl(streamable.url),
            revisions: streamable.revisions.map(shown),
            sessions: streamable.hasSessions,
            ...offered(streamable.introduction, streamable.counts),
          },
    frameworks: guesses.map(({ id, name, sure, because, quirks }) => ({
      id,
      name,
      sure,
      because: [...because],
      quirks: [...quirks],
    })),
    quirks: [...quirksOf(seen)],
    endpoint: endpoint === null ? null : shownEndpoint(endpoint, seen.messageUrl),
    timingsMs: rounded(stream.timings),
    heartbeat: stream.introduction === null ? null : heartbeat(seen),
    http: stream.head === null ? null : { status: stream.head.status, headers: shownHeaders(stream.head.headers) },
    tls: certificate === null ? null : shownCertificate(certificate, now),
    secondConnection: seen.second,
    elsewhere: elsewhere.map((found) => ({ url: redactedUrl(found.url), is: found.is })),
    failure: failure === null ? null : { reason: failure.code, why: shown(failure.why), network: failure.network },
    outOfTime: seen.wasCut,
  };
}

const NOTHING_COUNTED: Counts = { tools: null, prompts: null, resources: null };
const MAX_CAPABILITIES = 30;

function offered({ server, capabilities }: Introduction, counts: Counts) {
  const names = typeof capabilities === 'object' && capabilities !== null ? Object.keys(capabilities) : [];
  const [tools, prompts, resources] = LISTS.map((list) => counts[list]);
  return {
    server: shown(server),
    capabilities: names.slice(0, MAX_CAPABILITIES).map(shown),
    tools: tools ?? null,
    prompts: prompts ?? null,
    resources: resources ?? null,
  };
}

function shownEndpoint(endpoint: EndpointForm, messageUrl: URL | null): ProbeDocument['endpoint'] {
  const { form, path, origin, session, parameter } = endpoint;
  return {
    form,
    path: shown(path),
    origin: origin === null ? null : shown(origin),
    session,
    parameter: parameter === null ? null : shown(parameter),
    messageUrl: messageUrl === null ? null : redactedUrl(messageUrl),
  };
}

function shownHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  // What is in a location can be a credential; where it leads is told.
  const { location: _, ...rest } = headers;
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, shown(value)]));
}

function heartbeat({ stream }: Seen): ProbeDocument['heartbeat'] {
  const { kind = null, everyMs = null } = heartbeatOf(stream.beats) ?? {};
  return { listenedMs: Math.round(stream.listenedMs), kind, everyMs };
}

const DAY_MS = 86_400_000;

function shownCertificate(certificate: CertificateSeen, now: number): ProbeDocument['tls'] {
  const until = Date.parse(certificate.validTo);
  const shownAll = Object.entries(certificate).map(([name, value]) => [name, value === null ? null : shown(value)]);
  return {
    // Each member is one of the certificate's.
    ...(Object.fromEntries(shownAll) as unknown as CertificateSeen),
    daysLeft: Number.isNaN(until) ? null : Math.floor((until - now) / DAY_MS),
  };
}

function rounded(timings: Seen['stream']['timings']): ProbeDocument['timingsMs'] {
  const entries = Object.entries(timings).map(([step, took]) => [
    step,
    took === null ? null : Math.round((took as number) * 10) / 10,
  ]);
  return Object.fromEntries(entries) as ProbeDocument['timingsMs'];
}
