// What Accept and Content-Type of a request mean for us.

export interface Accepted {
  readonly json: boolean;
  /** Streams go only to clients that name the type. */
  readonly stream: boolean;
}

/**
 * [spec 2025-11-25 transports] "The client MUST include an Accept header, listing both application/json and
 * text/event-stream as supported content types." Clients that do not are served what they take; without the header
 * that is JSON.
 */
export function accepted(header: string | undefined): Accepted {
  if (header === undefined || header.trim() === '') return { json: true, stream: false };
  // What the SDKs send, all of them.
  return header === USUAL ? BOTH : readAccept(header);
}

const USUAL = 'application/json, text/event-stream';
const BOTH: Accepted = { json: true, stream: true };

function readAccept(header: string): Accepted {
  const ranges = new Map<string, boolean>();
  for (const range of header.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';');
    const isRefused = parameters.some((parameter) => /^\s*q\s*=\s*0(?:\.0*)?\s*$/.test(parameter));
    ranges.set(type.trim(), !isRefused);
  }
  // The most specific range decides.
  const take = (...names: readonly string[]): boolean => {
    const named = names.find((name) => ranges.has(name));
    return named !== undefined && ranges.get(named) === true;
  };
  return { json: take('application/json', 'application/*', '*/*'), stream: take('text/event-stream') };
}

/** `application/json`, with any parameters but a charset other than UTF-8. */
export function isJson(header: string | undefined): boolean {
  if (header === undefined || header === 'application/json') return header !== undefined;
  const [type = '', ...parameters] = header.toLowerCase().split(';');
  if (type.trim() !== 'application/json') return false;
  return parameters.every((parameter) => {
    const [name = '', value = ''] = parameter.split('=');
    return name.trim() !== 'charset' || value.trim().replaceAll('"', '').replace('-', '') === 'utf8';
  });
}
