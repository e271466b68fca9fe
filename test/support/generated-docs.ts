// The pages of docs/ that are printed from tables in the code. `npm run docs` writes them; docs.test.ts compares them.

import { ERRORS, type ErrorRow } from '../../src/domain/errors.ts';
import { REBUILT, REWRITES } from '../../src/protocol/rewrites.ts';
import { CONFIG_FILES } from './generated-config.ts';
import { table } from './markdown-table.ts';

export const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/errors.md': errorsPage,
  'docs/rewrites.md': rewritesPage,
  ...CONFIG_FILES,
};

function errorsPage(): string {
  const rows = Object.entries<ErrorRow>(ERRORS).map(([code, row]) => [
    `\`${code}\``,
    row.side,
    String(row.before),
    row.after === undefined ? '–' : String(row.after),
    String(row.rpc),
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
    table(['reason', 'whose fault', 'before', 'after', 'JSON-RPC', 'what to do'], rows),
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
