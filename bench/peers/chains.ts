// What users build from npm: a program that offers a stdio server over HTTP, and as that server mcp-remote, which speaks
// stdio on one side and HTTP+SSE on the other. The newest release of each, as npm would install it.
import { peerFile } from '../../test/peers/support/packages.ts';
import { freePort, listening, Program } from './program.ts';

const SCRIPTS = { 'mcp-proxy': 'dist/bin/mcp-proxy.mjs', supergateway: 'dist/index.js' } as const;
/** Its name in test/peers, where the last of an older line is called mcp-remote. */
export const MCP_REMOTE = 'mcp-remote-latest';

export async function startChain(
  chain: keyof typeof SCRIPTS,
  upstreamPort: number,
): Promise<{ program: Program; port: number }> {
  const port = await freePort();
  // Not by the name of the command: the Node on the machine's PATH may be too old.
  const mcpRemote = [process.execPath, peerFile(MCP_REMOTE, 'dist/proxy.js')];
  const itsOptions = [`http://127.0.0.1:${upstreamPort}/sse`, '--allow-http', '--transport', 'sse-only'];
  const ofChain = {
    'mcp-proxy': ['--', ...mcpRemote, ...itsOptions],
    supergateway: [
      '--stdio',
      forShell([...mcpRemote, ...itsOptions]),
      '--outputTransport',
      'streamableHttp',
      '--stateful',
    ],
  };
  const program = new Program({
    name: chain,
    command: process.execPath,
    args: () => [peerFile(chain, SCRIPTS[chain]), '--port', `${port}`, ...ofChain[chain]],
    // For its credentials and lock files, by default in the home directory.
    env: (folder) => ({ MCP_REMOTE_CONFIG_DIR: folder }),
  });
  await program.ready(() => listening(port));
  return { program, port };
}

/** No word of it holds a quote. */
function forShell(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ');
}
