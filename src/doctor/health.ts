// Who answers /healthz at an address of this machine. Little is loaded for it: healthcheck asks every few seconds for years.

import { type IncomingMessage, get } from 'node:http';
import { get as getSecurely } from 'node:https';

export interface Listening {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

export interface Health {
  /** Null: it lives. */
  readonly why: string | null;
  /** It says so in the words of a gateway. */
  readonly isGateway: boolean;
}

const MAX_CHARS = 1024;

/** Where this machine reaches a listener of its own. */
export function nearAddress(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

export function healthAt({ host, port, isSecure }: Listening, timeoutMs: number): Promise<Health> {
  const near = nearAddress(host);
  return new Promise((resolve) => {
    const dead = (why: string): void => resolve({ why, isGateway: false });
    // Its certificate is for the name that clients know, and what is asked and answered is no secret.
    const options = { host: near, port, path: '/healthz', timeout: timeoutMs, agent: false, rejectUnauthorized: false };
    const request = (isSecure ? getSecurely : get)(options, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode === 200) {
        read(response).then(
          (text) => resolve({ why: null, isGateway: isOurs(text) }),
          () => dead('it broke off'),
        );
      } else {
        response.resume();
        dead(`it answered with HTTP ${statusCode}`);
      }
    });
    const late = setTimeout(() => {
      dead('it did not answer in time');
      request.destroy();
    }, timeoutMs);
    request.on('close', () => clearTimeout(late));
    request.on('error', (error: Error & { code?: string }) => dead(error.code ?? error.message));
  });
}

async function read(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of response) {
    text += String(piece);
    if (text.length > MAX_CHARS) break;
  }
  return text;
}

function isOurs(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'status' in value && value.status === 'ok';
  } catch {
    return false;
  }
}
