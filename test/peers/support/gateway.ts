// The gateway as its users run it: the built program as a child process, known only by its command line, its log and its URL.
import { Child } from '../../support/child.ts';
import { gatewayArgs, gatewayUrl } from './gateway-program.ts';

export interface Gateway {
  readonly child: Child;
  readonly url: string;
}

export async function startGateway(upstreamPort: number, ...flags: readonly string[]): Promise<Gateway> {
  const child = new Child({ name: 'gateway', args: gatewayArgs(upstreamPort, flags) });
  return { child, url: await gatewayUrl(child) };
}
