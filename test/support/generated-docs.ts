// The pages of docs/ that are printed from tables in the code. `npm run docs` writes them; docs.test.ts compares them.

import { z } from 'zod';
import { DROPS } from '../../src/domain/drops.ts';
import { ERRORS, type ErrorRow } from '../../src/domain/errors.ts';
import { CLOSE_REASONS } from '../../src/domain/states.ts';
import { scalingPage } from '../../bench/scale/page.ts';
import { BUCKETS, LABELS, METRICS, type MetricRow } from '../../src/observe/metric-table.ts';
import { probeSchema } from '../../src/probe/document.ts';
import { REBUILT, REWRITES } from '../../src/protocol/rewrites.ts';
import { CONFIG_FILES } from './generated-config.ts';
import { DOCTOR_FILES } from './generated-doctor.ts';
import { table } from './markdown-table.ts';

export const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/errors.md': errorsPage,
  'docs/metrics.md': metricsPage,
  'docs/rewrites.md': rewritesPage,
  'docs/scaling.md': () => scalingPage(),
  'config/probe.schema.json': probeJsonSchema,
  ...CONFIG_FILES,
  ...DOCTOR_FILES,
};

function probeJsonSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(probeSchema, {
    // Members may be added: who reads the document must not mind.
    override: ({ jsonSchema }) =>
      void (jsonSchema.additionalProperties === false && delete jsonSchema.additionalProperties),
  });
  const description = 'What `mcp-causeway probe --json` prints. Printed from src/probe/document.ts by `npm run docs`.';
  return `${JSON.stringify({ $schema, title: 'mcp-causeway probe', description, ...schema }, null, 2)}\n`;
}

function errorsPage(): string {
  const rows = Object.entries<ErrorRow>(ERRORS).map(([code, row]) => [
    `\`${code}\``,
    row.side,
    String(row.before),
    row.after === undefined ? '–' : String(row.after),
    String(row.rpc),
    row.cause,
    row.remedy,
  ]);
  return [
    '# Errors',
    '',
    '<!-- Printed from src/domain/errors.ts by `npm run docs`. -->',
    '',
    'Every error of the gateway is a JSON-RPC error whose `error.data.reason` is one of these codes; `data.upstream` names',
    'the upstream (never its URL), `data.outcome` says `not_executed` or `unknown` where that is known, and',
    '`data.retryAfterMs` stands beside a `Retry-After` header. Errors of the server behind the gateway are not in this list:',
    'they pass through as they are.',
    '',
    '*before* is the HTTP status while no byte of the request can have reached the upstream, *after* once it may have: then it',
    'is 200 with the error inside, because balancers send a request again after a 5xx and a tool must not run twice.',
    'What is the upstream’s fault is never a 4xx: a 4xx on an opening request makes clients fall back to another transport,',
    'and remember it ([fallback.md](fallback.md)).',
    '',
    'In the log a failure is `reason` of its line, in `/metrics` it is a label ([metrics.md](metrics.md)). A run of all tests fails if',
    'one of these reasons was told to no client in it.',
    '',
    table(['reason', 'whose fault', 'before', 'after', 'JSON-RPC', 'cause', 'what to do'], rows),
    '',
  ].join('\n');
}

function metricsPage(): string {
  const code = (name: string): string => `\`${name}\``;
  const rows = Object.entries<MetricRow>(METRICS).map(([name, { type, unit, labels, meaning }]) => [
    code(name),
    type,
    unit,
    labels.length === 0 ? '–' : labels.map(code).join(', '),
    meaning,
  ]);
  const described = (of: Readonly<Record<string, string>>): string[][] =>
    Object.entries(of).map(([name, meaning]) => [code(name), meaning]);
  return [
    '# Metrics',
    '',
    '<!-- Printed from src/observe/metric-table.ts by `npm run docs`. -->',
    '',
    '`GET /metrics` of the admin listener (`admin` in a file, `--admin HOST:PORT`), in the text format of Prometheus. Beside these',
    'stand what a process of Node has anyway: `process_*` and `nodejs_*`.',
    '',
    table(['name', 'type', 'unit', 'labels', 'meaning'], rows),
    '',
    `Histograms have the buckets ${BUCKETS.map(String).join(', ')} s.`,
    '',
    '## The listener',
    '',
    'Where there is an `admin.token`, a scraper sends it (`authorization` in a scrape configuration), or `admin.metrics: open` lets',
    'everybody scrape who reaches the port; [status-page.md](status-page.md) has what else is there, and for whom.',
    '',
    '`POST /-/reload` reads the configuration file anew: 200 with the upstreams that were kept, replaced, added and removed, the other',
    'keys that changed and those that need a restart; 400 with what is wrong, and then nothing has changed.',
    '',
    '`GET /healthz` and `GET /readyz` are as on the listener for clients, and answer until the drain is over. `GET /status` is JSON',
    'to who does not ask for a page: `status`, `version`, `uptimeSeconds`, `configuredAt`, `drainingMs` or null, `limits`, `replies`,',
    '`bufferedBytes`, and for each of `upstreams` its `name`, `path` and `mode` (null where it is served no more), `state` (`unknown`,',
    '`up`, `down`), `server` and `revision` or null, whether it is `ready` and `single`, `openBreakers` and `nextTryMs`,',
    '`failedOpenings`, `lastError` (`reason`, `agoMs`) or null, `links` by use and state and their `limits`, `sessions`, `streams`,',
    '`passthroughStreams`, `calls`, `heldCalls`, `listens` and `waitingCallers`, as in the gauges above. `oldestCalls` are those under',
    'way for longest (`upstream`, `method`, `name`, `phase`, `ageMs`, `link`, `round`), `recentErrors` of each kind the last one',
    '(`reason`, `upstream`, `listener`, `of`, `says`, `limit`, `upstreamStatus`, `remedy`, `count`, `firstAt`, `lastAt`).',
    '',
    '`Host` and `Origin` are checked by `allowedHosts` and `allowedOrigins`, but that loopback names always do on a loopback address.',
    'On another one, where `allowedHosts` is given, it must hold the name or address that the scraper uses.',
    '',
    '## Labels',
    '',
    'No label holds an id, a URL, the name of a tool, or anything else that a client or a server could choose: however many',
    'there are and whatever they send, the number of series is bounded. A label that would be empty is absent.',
    '',
    table(['label', 'values'], described(LABELS)),
    '',
    '## What is dropped',
    '',
    'The values of `what` in `causeway_drops_total`: messages that were received and not passed on. An orphan answer is an',
    '`unknown_answer`. All of them are there from the start, with 0.',
    '',
    table(['what', 'means'], described(DROPS)),
    '',
    '## Why links are closed',
    '',
    'The values of `reason` in `causeway_links_closed_total`. A link that never opened is in `causeway_link_failures_total`, with the',
    'reason of its failure.',
    '',
    table(['reason', 'means'], described(CLOSE_REASONS)),
    '',
  ].join('\n');
}

function rewritesPage(): string {
  const rows = [...Object.values(REWRITES), ...REBUILT].map((row) => [
    row.direction,
    row.message,
    `\`${row.field}\``,
    row.becomes,
    row.why,
  ]);
  return [
    '# What is changed on the way through',
    '',
    '<!-- Printed from src/protocol/rewrites.ts by `npm run docs`. -->',
    '',
    'Everything that is not in this table crosses byte for byte, in both directions: numbers beyond 2^53, `1.0` against `1`,',
    'key order, unknown fields, escapes. The output is the original bytes with these spans replaced, never a parsed object',
    'written again. In an event stream, white space between tokens may change where the framing needs it.',
    '',
    table(['direction', 'message', 'field', 'becomes', 'why'], rows),
    '',
    'Members that are given twice are refused where the gateway reads them (`jsonrpc`, `id`, `method`, `params`, `result`,',
    '`error`; in `params`: `name`, `uri`, `_meta`, `task`, `inputResponses`, `requestState`, `progressToken`, `requestId`,',
    '`protocolVersion`, `capabilities`, `clientInfo`, `level`, `mode`, `tools`, `toolChoice`, `elicitationId`; `progressToken`',
    'and reserved keys in `_meta`; `code`, `message` and `data` of an error): two parsers that disagree about which of the two counts are a',
    'hole. Elsewhere they cross.',
    '',
  ].join('\n');
}
