// mcp-remote as desktop programs run it: a child that speaks lines of JSON-RPC on stdio and HTTP to a URL.
// Two releases: the last of the 0.1 line, which is in many configurations, and the newest, which moved to SDK v2.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Child } from '../../support/child.ts';
import { peerFile } from './packages.ts';

export const mcpRemotes = ['mcp-remote', 'mcp-remote-latest'] as const;

export type McpRemotePeer = (typeof mcpRemotes)[number];

export interface StdioTransport {
  onmessage?: (message: unknown) => void;
  onclose?: () => void;
  start(): Promise<void>;
  send(message: object): Promise<void>;
  close(): Promise<void>;
}

export class McpRemote {
  readonly child: Child;

  constructor(peer: McpRemotePeer, url: string) {
    const script = peerFile(peer, 'dist/proxy.js');
    // Its own directory: it keeps credentials and lock files there, by default in the home directory.
    const directory = mkdtempSync(join(tmpdir(), 'causeway-mcp-remote-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    this.child = new Child({ name: peer, args: [script, url], env: { MCP_REMOTE_CONFIG_DIR: directory } });
  }

  /** For a client of the SDK: as its own stdio transport is, but for who starts and stops the child. */
  get transport(): StdioTransport {
    const { child } = this;
    const transport: StdioTransport = {
      async start() {
        // Each by itself: what SDK v1 is given in one go it takes an answer of before the progress that came first.
        child.onLine((line) => setImmediate(() => transport.onmessage?.(JSON.parse(line))));
        void child.exited.then(() => transport.onclose?.());
      },
      async send(message) {
        child.write(`${JSON.stringify(message)}\n`);
      },
      async close() {
        await child.stop();
      },
    };
    return transport;
  }

  send(message: string): void {
    this.child.write(`${message}\n`);
  }

  answerTo(id: number | string, withinMs?: number): Promise<object> {
    return this.child.printed(
      ({ stdout }) =>
        // All but the last piece are whole lines.
        stdout
          .split('\n')
          .slice(0, -1)
          .map((line): unknown => JSON.parse(line))
          .filter((message) => typeof message === 'object' && message !== null)
          .find((message) => 'id' in message && message.id === id && !('method' in message)),
      `answer to ${id}`,
      withinMs,
    );
  }
}
