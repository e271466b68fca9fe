// What a request is about, as far as its method has a member for that.

import { type Request, textOf } from './json-rpc.ts';
import { methodRow } from './methods.ts';

/** The tool, prompt or resource, as the client says it, cut where it is long; null: there is none. */
export function namedBy({ method, params, bytes }: Request): string | null {
  const { nameFrom } = methodRow(method);
  const member = nameFrom === undefined ? undefined : params?.members.get(nameFrom);
  return member?.kind === 'string' ? textOf(bytes, member).slice(0, 128) : null;
}
