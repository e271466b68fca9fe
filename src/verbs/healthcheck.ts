// `mcp-causeway healthcheck`: asks the gateway that runs on this machine, by the same configuration, whether it lives.

import { get } from 'node:http';
import { get as getSecurely } from 'node:https';
import type { Config } from '../config/schema.ts';
import type { Machine } from './surroundings.ts';

const TIMEOUT_MS = 3000;

/** Whether it answered. Why it did not is said on stderr. */
export async function healthcheck({ listen: { host, port, tls } }: Config, machine: Machine): Promise<boolean> {
  if (port === 0) {
    machine.stderr.write('port 0 is any free one: nobody knows which to ask\n');
    return false;
  }
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const why = await failure(near, port, tls !== undefined);
  if (why === null) return true;
  machine.stderr.write(`no healthy gateway at ${host}:${port}: ${why}\n`);
  return false;
}

function failure(host: string, port: number, isSecure: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    // Its certificate is for the name that clients know, and what is asked and answered is no secret.
    const options = { host, port, path: '/healthz', timeout: TIMEOUT_MS, agent: false, rejectUnauthorized: false };
    const request = (isSecure ? getSecurely : get)(options, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      resolve(statusCode === 200 ? null : `it answered with HTTP ${statusCode}`);
    });
    request.on('timeout', () => {
      resolve('it did not answer in time');
      request.destroy();
    });
    request.on('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message));
  });
}
