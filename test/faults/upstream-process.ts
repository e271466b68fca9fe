// The upstream of a fault bench as a process; see startFaultUpstreamProcess.

import { startLegacyServer } from '../support/legacy-server.ts';
import { type FromChild, type ToChild, changeTools, faultBehaviour } from './fault-upstream.ts';

/** Resolves when it is on its way, also if this process is killed right after. */
const say = (message: FromChild): Promise<void> =>
  new Promise((resolve) => process.send?.(message, undefined, {}, () => resolve()));

const tools: string[] = [];
const server = await startLegacyServer(faultBehaviour((tag) => say({ ran: tag }), tools));
process.on('message', (message: ToChild) => {
  if (message === 'cut streams') server.cutStreams();
  else void changeTools(server, tools);
});
// Nobody is left who could use it.
process.on('disconnect', () => process.exit());
await say({ port: Number(server.url.port) });
