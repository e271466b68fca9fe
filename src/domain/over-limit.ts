import { type ErrorCode, type ErrorDetails, ProxyError } from './errors.ts';
import type { Limit } from './limits.ts';

/** What was ended or refused for a limit; the text gets its key at the end. */
export function overLimit(code: ErrorCode, limit: Limit, text: string, details: ErrorDetails = {}): ProxyError {
  return new ProxyError(code, `${text} (${limit})`, { ...details, limit });
}
