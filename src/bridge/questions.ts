// What an upstream asks a client: whether the client may be asked at all, and what the upstream hears when no answer of
// the client's will come.

import { type CapabilityProfile, profileOf } from '../protocol/capability-profile.ts';
import { LATEST_REVISION } from '../protocol/eras.ts';
import { type Request, ownError, ownResult, textOf } from '../protocol/json-rpc.ts';
import { type Refusal, UNDECLARED } from './reply-router.ts';

const INVALID_PARAMS = -32602;
const INTERNAL = -32603;
/** [spec 2025-11-25 sampling] "User rejected sampling request: -1". */
const REJECTED = -1;

/**
 * Null where the client has declared what the question needs.
 * [spec 2025-06-18 lifecycle] "Both parties MUST [...] Only use capabilities that were successfully negotiated."
 */
export function refusalOf(question: Request, { members }: CapabilityProfile): Refusal | null {
  switch (question.method) {
    case 'roots/list':
      return members.has('roots') ? null : UNDECLARED;
    case 'sampling/createMessage':
      if (!members.has('sampling')) return UNDECLARED;
      // [spec 2025-11-25 schema] of tools and of toolChoice: "The client MUST return an error if this field is provided
      // but ClientCapabilities.sampling.tools is not declared."
      if (!usesTools(question) || members.has('sampling.tools')) return null;
      return { code: INVALID_PARAMS, message: 'the client did not declare sampling.tools' };
    case 'elicitation/create': {
      const mode = modeOf(question);
      if (mode !== null && members.has(`elicitation.${mode}`)) return null;
      if (!members.has('elicitation.form') && !members.has('elicitation.url')) return UNDECLARED;
      // [spec 2025-11-25 elicitation] "Server sends an elicitation/create request with a mode not declared in client
      // capabilities: -32602 (Invalid params)".
      return { code: INVALID_PARAMS, message: 'the client did not declare this mode of elicitation' };
    }
    default:
      return UNDECLARED;
  }
}

/**
 * What a client would have to declare for this question, in the form of `ClientCapabilities`; null for no question, and
 * for one that nobody can declare.
 */
export function missingCapabilities(question: Request): Readonly<Record<string, object>> | null {
  switch (question.method) {
    case 'roots/list':
      return { roots: {} };
    case 'sampling/createMessage':
      return { sampling: usesTools(question) ? { tools: {} } : {} };
    case 'elicitation/create': {
      const mode = modeOf(question);
      return mode === null ? null : { elicitation: { [mode]: {} } };
    }
    default:
      return null;
  }
}

/** Whether a client that declares this has declared all of `required`, which is in the form of `ClientCapabilities`. */
export function isDeclared(required: object, { members }: CapabilityProfile): boolean {
  return [...profileOf(required, LATEST_REVISION).members].every((member) => members.has(member));
}

/** [spec 2025-11-25 elicitation] without a mode it is a form. */
function modeOf(question: Request): 'form' | 'url' | null {
  const mode = question.params?.members.get('mode');
  if (mode === undefined) return 'form';
  if (mode.kind !== 'string') return null;
  const text = textOf(question.bytes, mode);
  return text === 'form' || text === 'url' ? text : null;
}

function usesTools({ params }: Request): boolean {
  return params !== null && (params.members.has('tools') || params.members.has('toolChoice'));
}

/** The upstream's answer when nobody will give one: an elicitation can be cancelled, the others can only fail. */
export function answerOfNobody({ method, id }: { method: string; id: Uint8Array }, why: string): Uint8Array {
  switch (method) {
    case 'elicitation/create':
      return ownResult(id, { action: 'cancel' });
    case 'sampling/createMessage':
      return ownError(id, { code: REJECTED, message: why });
    default:
      return ownError(id, { code: INTERNAL, message: why });
  }
}

/** `id`: the asker's own. */
export function refusal(id: Uint8Array, { code, message }: Refusal): Uint8Array {
  return ownError(id, { code, message });
}
