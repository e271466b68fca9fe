// A gateway with something of everything in it, for whoever looks at it: one server that is busy, one that is idle, and one
// that nobody answers at.

import { Agent } from 'undici';
import { onTestFinished } from 'vitest';
import { type Timer, type Timers, type Clock } from '../../../src/domain/ports.ts';
import { systemClock, systemTimers } from '../../../src/real-time.ts';
import { type Gateway, type GatewayConfig, type GatewayClient, clientOf, startGateway } from '../../support/gateway.ts';
import { type Behaviour, type LegacyCall, text } from '../../support/legacy-behaviour.ts';
import { startLegacyServer } from '../../support/legacy-server.ts';
import { callTool } from '../../support/modern-client.ts';

/** What its clients and servers call things. */
export interface Names {
  readonly server: string;
  readonly client: string;
  /** Of tools that do not answer; the last one asks its caller something instead. */
  readonly tools: readonly string[];
}

export interface BusyGateway extends Gateway {
  /** Of the server that is busy. */
  readonly search: GatewayClient;
}

/** Real time, but for what is passed over at once. */
class SkippedTime implements Clock, Timers {
  #skippedMs = 0;

  now(): number {
    return systemClock.now() + this.#skippedMs;
  }

  after(ms: number, fire: () => void): Timer {
    return systemTimers.after(ms, fire);
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
  }
}

const QUESTION = { message: 'which of them?', requestedSchema: { type: 'object', properties: {} } };
/** Between one call and the next. */
const APART_MS = 14_700;

export async function busyGateway({ server, client, tools }: Names, config: GatewayConfig = {}): Promise<BusyGateway> {
  const waits = (call: LegacyCall): unknown => call.released.then(() => text('done'));
  const asks = async (call: LegacyCall): Promise<unknown> => {
    await call.ask('elicitation/create', QUESTION);
    return text('done');
  };
  const busy = await started({
    serverInfo: { name: server, version: '2.3.1' },
    tools: Object.fromEntries(tools.map((tool, index) => [tool, index === tools.length - 1 ? asks : waits])),
  });
  const idle = await started({ serverInfo: { name: 'ticket-mcp', version: '0.9.4' } });
  const time = new SkippedTime();
  const gateway = await startGateway(
    busy.url,
    {
      admin: { port: 0 },
      reconnect: { min: '30s', max: '30s' },
      links: { pingInterval: '1h' },
      ...config,
      upstream: { name: 'search', path: '/search' },
      others: [
        { name: 'tickets', path: '/tickets', url: idle.url.href, mode: 'stateless' },
        { name: 'billing', path: '/billing', url: 'http://127.0.0.1:1/sse' },
      ],
    },
    time,
  );
  const dispatcher = new Agent({ connections: 600 });
  onTestFinished(async () => {
    await dispatcher.destroy();
    await gateway.close();
  });
  const at = (path: string): GatewayClient => clientOf(gateway.origin, dispatcher, path);
  const search = at('/search');

  const clientInfo = { name: client, version: '1' };
  const session = { 'mcp-session-id': await search.openSession({ clientInfo }) };
  for (const [index, tool] of tools.entries()) {
    time.skip(APART_MS * (tools.length - index));
    if (index === tools.length - 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as they are to be of different ages
      await callTool(search, tool, {}, { capabilities: { elicitation: {} } });
    } else {
      void search.call(tool, {}, index, index === 0 ? session : {});
      // oxlint-disable-next-line no-await-in-loop -- the same
      await busy.nextCall(tool);
    }
  }
  time.skip(APART_MS);
  await at('/tickets').call('add', { a: 1, b: 2 });
  await search.post('{', {});
  // oxlint-disable-next-line no-await-in-loop -- five failures in a row
  for (let count = 0; count < 5; count++) await at('/billing').call('add');
  return { ...gateway, search };
}

async function started(behaviour: Partial<Behaviour>) {
  const server = await startLegacyServer(behaviour);
  onTestFinished(() => server.close());
  return server;
}
