// What the endpoint event of a server says about it: the form of the URL, and where the session is in it. Without the session
// itself, which is as good as a credential.

import { HIDDEN } from '../config/redacted-url.ts';

export interface EndpointForm {
  readonly form: 'root-relative' | 'relative' | 'query' | 'absolute' | 'other-origin' | 'none';
  /** Without query, and without an id that is a part of it. */
  readonly path: string;
  /** Of another origin. */
  readonly origin: string | null;
  readonly session: 'query' | 'path' | 'none';
  /** The parameter that holds it. */
  readonly parameter: string | null;
  readonly idForm: IdForm | null;
}

export type IdForm = 'uuid' | 'hex' | 'base32' | 'base64url' | 'base64' | 'other';

/** The first that fits. */
const ID_FORMS: readonly (readonly [form: IdForm, pattern: RegExp])[] = [
  ['uuid', /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i],
  ['hex', /^[\da-f]{32}$/],
  ['base32', /^[A-Z2-7]{26}$/],
  ['base64url', /^[\w-]{20,24}$/],
  ['base64', /^[A-Za-z\d+/]{20,}={0,2}$/],
];

/** `base`: the URL of the stream. */
export function endpointForm(announced: string, base: URL): EndpointForm {
  const url = URL.canParse(announced, base.href) ? new URL(announced, base.href) : null;
  if (url === null) return { form: 'none', path: '', origin: null, session: 'none', parameter: null, idForm: null };
  const isElsewhere = url.origin !== base.origin;
  const named = [...url.searchParams].find(([name]) => /session|sid$|client/i.test(name));
  // An id stands last in a path, where it does.
  const last = decoded(url.pathname.split('/').at(-1) ?? '');
  const inPath = named === undefined && /\d|=$/.test(last) ? idFormOf(last) : 'other';
  const isInPath = inPath !== 'other' && last.length >= 20;
  return {
    form: isElsewhere ? 'other-origin' : formOf(announced),
    path: isInPath ? `${url.pathname.slice(0, url.pathname.lastIndexOf('/') + 1)}${HIDDEN}` : url.pathname,
    origin: isElsewhere ? url.origin : null,
    session: named === undefined ? (isInPath ? 'path' : 'none') : 'query',
    parameter: named?.[0] ?? null,
    idForm: named === undefined ? (isInPath ? inPath : null) : idFormOf(named[1]),
  };
}

function formOf(announced: string): EndpointForm['form'] {
  if (/^[a-z][a-z\d+.-]*:|^\/\//i.test(announced)) return 'absolute';
  if (announced.startsWith('/')) return 'root-relative';
  return announced.startsWith('?') ? 'query' : 'relative';
}

function idFormOf(id: string): IdForm {
  return ID_FORMS.find(([, pattern]) => pattern.test(id))?.[0] ?? 'other';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
