// What an upstream's answer is to a client of 2026-07-28.

import type { AnswerVerdict } from '../bridge/call.ts';
import { ProxyError } from '../domain/errors.ts';
import { requestDigest } from '../protocol/canonical-digest.ts';
import { inputRequiredResult, urlInputRequests } from '../protocol/input-required.ts';
import { type Answer, errorCode, textOf } from '../protocol/json-rpc.ts';
import type { MethodRow } from '../protocol/methods.ts';
import { type UrlElicitation, modernError } from '../protocol/modern-error.ts';
import { stampedResult } from '../protocol/modern-result.ts';
import type { Handshake } from '../protocol/upstream-handshake.ts';
import type { Ask } from './modern-ask.ts';

const METHOD_NOT_FOUND = -32601;

/** `handshake`: of the link that it came on. */
export function told(answer: Answer, ask: Ask, handshake: Handshake | null): AnswerVerdict {
  const { mount, row, request } = ask;
  if (answer.kind === 'result') {
    const cache = row.cacheable === true ? { ttlMs: mount.cache.ttl, scope: mount.cache.scope } : null;
    const edits = stampedResult(answer, { serverInfo: handshake?.serverInfo ?? null, cache });
    return edits === null ? { kind: 'error', error: unusable() } : { answer, edits };
  }
  if (errorCode(answer) === METHOD_NOT_FOUND && !isOffered(row, handshake)) {
    return { kind: 'error', error: new ProxyError('method_unknown', 'the server does not offer this method') };
  }
  const uri = request.params?.members.get('uri');
  const about = uri?.kind === 'string' ? { uri: textOf(request.bytes, uri) } : {};
  const meant = modernError(answer, request.method, about);
  return meant.kind === 'edits' ? { answer, edits: meant.edits } : goTo(meant.elicitations, ask, handshake);
}

function isOffered({ offeredBy }: MethodRow, handshake: Handshake | null): boolean {
  const offers = handshake?.offers;
  return offeredBy === undefined ? offers?.completions === true : offers?.lists.includes(offeredBy) === true;
}

function unusable(): ProxyError {
  return new ProxyError('upstream_result_invalid', 'the upstream’s result is no object', { reached: true });
}

/** `required`: in the form of ClientCapabilities. */
export function undeclared(required: object): ProxyError {
  // [spec 2026-07-28 basic] −32021 with "requiredCapabilities".
  return new ProxyError('capability_missing', 'the server needs a capability that the client did not declare', {
    data: { requiredCapabilities: required },
  });
}

/** −32042: the user has to go to some pages, and then the call is to be made once more. */
function goTo(pages: readonly UrlElicitation[], ask: Ask, handshake: Handshake | null): AnswerVerdict {
  const { mount, principal, request, envelope } = ask;
  if (!envelope.profile.members.has('elicitation.url')) {
    return { kind: 'error', error: undeclared({ elicitation: { url: {} } }) };
  }
  const state = mount.modern.sealReplay(principal, requestDigest(request));
  const result = inputRequiredResult(urlInputRequests(pages), state, handshake?.serverInfo ?? null);
  return { kind: 'own', result };
}
