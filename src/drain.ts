// Say that it ends, stop accepting, wait for what runs, end the streams, close the rest.

import type { Timers } from './domain/ports.ts';
import type { Listener } from './downstream/listener.ts';
import type { OwnerHops } from './downstream/owner-hop.ts';
import type { Tally } from './traffic/tally.ts';
import type { Mount } from './traffic/mount.ts';
import type { SessionRegistry } from './traffic/session-registry.ts';

/** How long clients may take to read what was written to them last. */
const TAKEN_MS = 1000;
/** How long it may take to find out who is to serve in our place. */
const LOOK_MS = 1000;

export interface DrainOptions {
  /** Where clients connect. */
  readonly listener: Listener;
  /** Where other replicas do, which come until the end for what is held here; null: there are none. */
  readonly ofPeers: Listener | null;
  /** What is passed on to other replicas. */
  readonly hops: Pick<OwnerHops, 'endAll'> | null;
  /** Those too that are on their way out. */
  readonly mounts: () => readonly Mount[];
  readonly registry: SessionRegistry;
  /** Sessions are kept where another replica finds them. */
  readonly isHandingOver: boolean;
  /** Asks the other replicas how they are: whether there are any that serve in our place. Null: there are none. */
  readonly lookForOthers: (() => Promise<boolean>) | null;
  /** Replies that somebody waits for. */
  readonly inFlight: Tally;
  readonly timers: Timers;
  /** How long everything is served as before, for balancers to notice. */
  readonly delayMs: number;
  /** Told when that is over: new requests are refused from then on. */
  readonly onRefusing: () => void;
  /** How long exchanges in flight may take. */
  readonly timeoutMs: number;
}

export async function drain(options: DrainOptions): Promise<void> {
  const { listener, ofPeers, hops, mounts, registry, inFlight, timers, delayMs, timeoutMs } = options;
  const { lookForOthers } = options;
  const looking =
    lookForOthers === null ? null : Promise.race([lookForOthers(), passed(timers, LOOK_MS).then(() => false)]);
  if (delayMs > 0) await passed(timers, delayMs);
  const isServedElsewhere = looking !== null && (await looking);
  options.onRefusing();
  if (options.isHandingOver) registry.handOver();
  else if (isServedElsewhere) registry.sendAway();
  await listener.stopAccepting();
  await inFlight.whenNone(timers, timeoutMs);
  for (const { modern } of mounts()) modern.listens.endAll();
  // What still runs is answered by this, with an error.
  registry.endAll();
  await Promise.all(mounts().map((mount) => mount.close()));
  // Requests that waited for their session to leave are on their way after it only now.
  if (hops !== null) await inFlight.whenNone(timers, TAKEN_MS);
  hops?.endAll();
  // Cut here, a client that reads would see half an event.
  const listeners = [listener, ...(ofPeers === null ? [] : [ofPeers])];
  await Promise.all(listeners.map(({ responses }) => responses.whenNone(timers, TAKEN_MS)));
  await Promise.all(listeners.map((each) => each.close()));
}

/** A mount that is served no more: what runs on it is finished, the rest closed. */
export async function retire(
  mount: Mount,
  { registry, timers, timeoutMs }: Pick<DrainOptions, 'registry' | 'timers' | 'timeoutMs'>,
): Promise<void> {
  await mount.unfinished.whenNone(timers, timeoutMs);
  mount.modern.listens.endAll();
  registry.endThose((session) => session.mount === mount, 'reloaded');
  await mount.close();
}

function passed(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve);
  });
}
