// `mcp-causeway healthcheck`: asks the gateway that runs on this machine, by the same configuration, whether it lives.

import type { Config } from '../config/schema.ts';
import { healthAt } from '../doctor/health.ts';
import type { Machine } from './surroundings.ts';

const TIMEOUT_MS = 3000;

/** Whether it answered. Why it did not is said on stderr. */
export async function healthcheck({ listen: { host, port, tls } }: Config, machine: Machine): Promise<boolean> {
  if (port === 0) {
    machine.stderr.write('port 0 is any free one: nobody knows which to ask\n');
    return false;
  }
  const { why } = await healthAt({ host, port, isSecure: tls !== undefined }, TIMEOUT_MS);
  if (why === null) return true;
  machine.stderr.write(`no healthy gateway at ${host}:${port}: ${why}\n`);
  return false;
}
