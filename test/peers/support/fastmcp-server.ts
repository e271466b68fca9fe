// A small server made with fastmcp, as people make them: a program of its own that serves HTTP+SSE at /sse.
import { z } from 'zod';
import { classLike, importPeer } from './packages.ts';

interface Context {
  readonly reportProgress: (progress: { readonly progress: number; readonly total: number }) => Promise<void>;
  readonly log: { info(message: string): void };
}

interface Tool<A> {
  readonly name: string;
  readonly description: string;
  readonly parameters: z.ZodType<A>;
  execute(args: A, context: Context): Promise<string>;
}

interface Server {
  addTool<A>(tool: Tool<A>): void;
  start(options: object): Promise<void>;
}

const { FastMCP } = z
  .object({ FastMCP: classLike<new (own: { readonly name: string; readonly version: string }) => Server>() })
  .parse(await importPeer('fastmcp', 'dist/FastMCP.js'));

const server = new FastMCP({ name: 'greeter', version: '1.0.0' });

server.addTool({
  name: 'greet',
  description: 'Greets somebody',
  parameters: z.object({ name: z.string() }),
  execute: async ({ name }) => `Hello, ${name}!`,
});

server.addTool({
  name: 'count',
  description: 'Counts, and says so meanwhile',
  parameters: z.object({ to: z.number() }),
  async execute({ to }, { reportProgress, log }) {
    for (let progress = 1; progress <= to; progress += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await reportProgress({ progress, total: to });
    }
    log.info(`There are ${to}`);
    return `Counted to ${to}.`;
  },
});

await server.start({ transportType: 'httpStream', httpStream: { port: 0, host: '127.0.0.1' } });
