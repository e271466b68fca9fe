// The gateway as built, with its defaults: metrics on, and one line of JSON a call at info, which is what it prints when that is a file.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Program } from './program.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

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
  const port = await program.ready((log) => /"endpoint":"http:\/\/127\.0\.0\.1:(\d+)\/mcp"/.exec(log)?.[1]);
  return { program, port: Number(port) };
}
