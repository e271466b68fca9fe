// The built gateway as a command line, and the one thing that is read from its log: where it listens.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WatchedChild } from '../../support/watched-child.ts';

const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

export function gatewayArgs(
  upstreamPort: number,
  flags: readonly string[] = [],
  upstreamHost = '127.0.0.1',
): readonly string[] {
  if (!existsSync(program)) throw new Error('dist/main.js is missing: run `npm run build` first');
  const upstream = `http://${upstreamHost}:${upstreamPort}/sse`;
  return [program, upstream, '--listen', '127.0.0.1:0', '--log-format', 'json', ...flags];
}

export function gatewayUrl(child: WatchedChild): Promise<string> {
  return child.printed(({ stderr }) => /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(stderr)?.[0], 'URL of the gateway');
}
