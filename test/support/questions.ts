// What an upstream may ask in mid-call, one of each kind, and an answer that fits.

export const FORM = {
  method: 'elicitation/create',
  params: { message: 'your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
};
export const URL_MODE = {
  method: 'elicitation/create',
  params: { mode: 'url', elicitationId: 'e-1', url: 'https://example.com/authorize?x=1', message: 'please log in' },
};
export const SAMPLING = {
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 10 },
};
export const WITH_TOOLS = {
  method: 'sampling/createMessage',
  params: { ...SAMPLING.params, tools: [{ name: 't', inputSchema: { type: 'object' } }] },
};
export const ROOTS = { method: 'roots/list' };

export const NAMED = { action: 'accept', content: { name: 'Ada' } };
export const VISITED = { action: 'accept' };
export const SAMPLED = { role: 'assistant', content: { type: 'text', text: 'hello' }, model: 'm' };
export const LISTED = { roots: [{ uri: 'file:///a', name: 'a' }] };

/** A form with one field. */
export function form(field: string): { readonly method: string; readonly params: object } {
  const requestedSchema = { type: 'object', properties: { [field]: { type: 'string' } } };
  return { method: 'elicitation/create', params: { message: `${field}?`, requestedSchema } };
}

export function filled(field: string, value: string): object {
  return { action: 'accept', content: { [field]: value } };
}
