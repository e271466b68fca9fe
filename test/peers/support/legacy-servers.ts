// The real servers, one row each: how they are put behind the gateway, and what is asked of them. How they are started is
// in legacy-peers.ts.
import { expect } from 'vitest';
import { everything, fastmcp, firstEverything, mcpProxy, playwrightMcp, supergateway } from './legacy-peers.ts';
import { peerVersion } from './packages.ts';
import type { ClientOptions, SessionClient } from './sessions/client.ts';
import { textOf } from './sessions/places.ts';
import type { ChildOptions } from '../../support/watched-child.ts';

export interface LegacyServer {
  readonly name: string;
  readonly start: () => ChildOptions;
  /** Of the gateway before it. */
  readonly flags: readonly string[];
  /** Whether clients of HTTP+SSE are let through to it. */
  readonly servesOldClients: 'always' | 'never' | 'until it is found to broadcast';
  /** How many clients of a kind use it at the same time. */
  readonly atOnce: number;
  /** Some of its tools, or all. */
  readonly tools: readonly string[];
  /** A call of its own for each number. */
  readonly call: (n: number) => ToolCall;
  /** Makes it speak of its own accord to a new client, which must hear it: progress, the log, a question. */
  readonly speaks: (connect: Connect) => Promise<void>;
}

export interface ToolCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** What the answer says: a string, or what matches one. */
  readonly text: unknown;
}

export type Connect = (options?: ClientOptions) => Promise<SessionClient>;

/** Of mcp-proxy, which fastmcp is made with: at once, before `initialize` is answered, or when it has found out who is there. */
const greeting = { level: 'info', data: 'SSE Connection established' };

export const legacyServers: readonly LegacyServer[] = [
  {
    name: `server-everything ${peerVersion('@modelcontextprotocol/server-everything')}`,
    start: everything,
    flags: [],
    servesOldClients: 'always',
    atOnce: 5,
    tools: ['echo', 'get-sum', 'trigger-long-running-operation'],
    call: sumBy('get-sum'),
    speaks: progressOf('trigger-long-running-operation'),
  },
  {
    name: `server-everything ${peerVersion('server-everything-0')}`,
    start: firstEverything,
    flags: ['--single'],
    servesOldClients: 'never',
    atOnce: 5,
    tools: ['echo', 'add', 'longRunningOperation', 'sampleLLM', 'getTinyImage'],
    call: sumBy('add'),
    speaks: progressOf('longRunningOperation'),
  },
  {
    name: `supergateway ${peerVersion('supergateway')}`,
    start: supergateway,
    flags: [],
    servesOldClients: 'until it is found to broadcast',
    atOnce: 5,
    tools: ['echo', 'get-sum', 'trigger-long-running-operation'],
    call: sumBy('get-sum'),
    speaks: progressOf('trigger-long-running-operation'),
  },
  {
    name: `mcp-proxy ${peerVersion('mcp-proxy')}`,
    start: mcpProxy,
    flags: [],
    servesOldClients: 'always',
    atOnce: 5,
    tools: ['echo', 'get-sum', 'trigger-long-running-operation'],
    call: sumBy('get-sum'),
    async speaks(connect) {
      // It loses what the server behind it says in one breath with the answer.
      await progressOf('trigger-long-running-operation', 1)(connect);
      const client = await connect();

      expect(await client.hears('notifications/message')).toEqual([greeting]);
    },
  },
  {
    name: `fastmcp ${peerVersion('fastmcp')}`,
    start: fastmcp,
    flags: [],
    servesOldClients: 'always',
    atOnce: 5,
    tools: ['greet', 'count'],
    call: (n) => ({ name: 'greet', args: { name: `number ${n}` }, text: `Hello, number ${n}!` }),
    async speaks(connect) {
      const client = await connect();
      const progress: unknown[] = [];

      const result = await client.call('count', { to: 3 }, { onprogress: (each) => progress.push(each) });
      const logged = await client.hears('notifications/message', 2);

      expect(textOf(result)).toBe('Counted to 3.');
      expect(progress).toMatchObject([1, 2, 3].map((done) => ({ progress: done, total: 3 })));
      expect(logged).toEqual(expect.arrayContaining([greeting, { level: 'info', data: { message: 'There are 3' } }]));
    },
  },
  {
    name: `@playwright/mcp ${peerVersion('@playwright/mcp')}`,
    start: playwrightMcp,
    flags: [],
    servesOldClients: 'always',
    // Each has a browser.
    atOnce: 2,
    tools: ['browser_navigate', 'browser_evaluate', 'browser_snapshot'],
    // What it says of the page after that differs.
    call: (n) => ({
      name: 'browser_evaluate',
      args: { function: `() => ${n} + 1000` },
      text: expect.stringMatching(new RegExp(`^### Result\\n${n + 1000}(?:\\n|$)`)),
    }),
    async speaks(connect) {
      const asked: string[] = [];
      const answers = {
        'roots/list': () => {
          asked.push('roots/list');
          return { roots: [] };
        },
      };
      const client = await connect({ capabilities: { roots: {} }, answers });

      await client.call('browser_evaluate', { function: '() => 1' });

      expect(asked).toEqual(['roots/list']);
    },
  },
];

function sumBy(name: string): LegacyServer['call'] {
  return (n) => ({ name, args: { a: n, b: 1000 }, text: `The sum of ${n} and 1000 is ${n + 1000}.` });
}

/** What every release of server-everything has. `heard`: so many of three are sure to be heard. */
function progressOf(name: string, heard = 3): LegacyServer['speaks'] {
  return async (connect) => {
    const client = await connect();
    const progress: unknown[] = [];

    const result = await client.call(name, { duration: 0.6, steps: 3 }, { onprogress: (each) => progress.push(each) });

    expect(textOf(result)).toBe('Long running operation completed. Duration: 0.6 seconds, Steps: 3.');
    expect(progress.slice(0, heard)).toMatchObject(
      [1, 2, 3].slice(0, heard).map((done) => ({ progress: done, total: 3 })),
    );
  };
}
