// The gateway as built, with its defaults: metrics on, and one line of JSON a call at info, which is what it prints when that is a file.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Program } from './program.ts';

export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export function causewayMissing(): string | undefined {
  return existsSync(MAIN) ? undefined : 'dist/main.js is missing: npm run build';
}

export async function startCauseway(upstreamPort: number): Promise<{ program: Program; port: number }> {
  const upstream = `http://127.0.0.1:${upstreamPort}/sse`;
  const program = new Program({
    name: 'causeway',
    command: process.execPath,
    args: () => [MAIN, upstream, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
  });
  return { program, port: await program.ready(endpointOf) };
}

/** The port where clients connect, once the log tells it. */
export function endpointOf(log: string): number | undefined {
  const [, port] = /"endpoint":"http:\/\/127\.0\.0\.1:(\d+)\/mcp"/.exec(log) ?? [];
  return port === undefined ? undefined : Number(port);
}
