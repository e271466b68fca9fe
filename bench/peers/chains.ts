// What users build from npm: a program that offers a stdio server over HTTP, and as that server mcp-remote, which speaks
// stdio on one side and HTTP+SSE on the other.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peerFile } from '../../test/peers/support/packages.ts';
import { freePort, listening, Program } from './program.ts';

const SCRIPTS = { 'mcp-proxy': 'dist/bin/mcp-proxy.mjs', supergateway: 'dist/index.js' } as const;
const COMMANDS = fileURLToPath(new URL('../../test/peers/node_modules/.bin', import.meta.url));

export async function startChain(
  chain: keyof typeof SCRIPTS,
  upstreamPort: number,
): Promise<{ program: Program; port: number }> {
  const port = await freePort();
  const remote = ['mcp-remote', `http://127.0.0.1:${upstreamPort}/sse`, '--allow-http', '--transport', 'sse-only'];
  const ofChain = {
    'mcp-proxy': ['--', ...remote],
    supergateway: ['--stdio', remote.join(' '), '--outputTransport', 'streamableHttp', '--stateful'],
  };
  const program = new Program({
    name: chain,
    command: process.execPath,
    args: () => [peerFile(chain, SCRIPTS[chain]), '--port', `${port}`, ...ofChain[chain]],
    env: (folder) => ({
      // Where it finds mcp-remote, and the Node to run it: the one on the machine's PATH may be too old.
      PATH: [COMMANDS, dirname(process.execPath), process.env['PATH']].join(':'),
      // Its credentials and lock files, by default in the home directory.
      MCP_REMOTE_CONFIG_DIR: folder,
    }),
  });
  await program.ready(() => listening(port));
  return { program, port };
}
