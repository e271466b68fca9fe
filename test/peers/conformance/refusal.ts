// Errors with a JSON-RPC code: the SDK answers with the code of whatever a handler throws.
import { z } from 'zod';

export const invalidParams = -32602;
export const methodNotFound = -32601;
export const resourceNotFound = -32002;

export function refusal(code: number, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** `value` as `schema` wants it, or a refusal that says where it differs. */
export function validParams<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusal(invalidParams, z.prettifyError(parsed.error));
  return parsed.data;
}
