// The one spelling of a path. The router decodes what is percent-encoded and reads no further than a `#`; who stands in
// front of us and lets requests through by their paths may not.

import { ProxyError } from '../domain/errors.ts';

/** Nothing that is served has such a character in its path. */
const OTHER_SPELLING = /^[^?]*[%#]/;

export function checkPath(target: string): ProxyError | null {
  return OTHER_SPELLING.test(target) ? new ProxyError('path_unknown', 'nothing is served at this path') : null;
}
