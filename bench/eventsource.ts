// What the npm package `eventsource` costs per message, against counting bytes and against cutting frames without decoding them.
// The sender is a child, each way of reading is a child, and rounds are interleaved: count, cutter, eventsource, count …
// Read the differences, not the absolute values: every way also pays for its socket reads and its acknowledgements.
import { parseArgs } from 'node:util';
import { nextMessage, startChild } from './child.ts';
import type { Outcome, Round, Way } from './eventsource-receiver.ts';
import { digits, show, spread, table } from './stats.ts';

interface Load {
  readonly name: string;
  readonly bytes: number;
  readonly batch: number;
  readonly count: number;
  readonly text: 'ascii' | 'mixed';
}

const KIB = 1024;
const LOADS: readonly Load[] = [
  { name: '100 B, one a read', bytes: 100, batch: 1, count: 5_000, text: 'ascii' },
  { name: '100 B, 8 a read', bytes: 100, batch: 8, count: 24_000, text: 'ascii' },
  { name: '100 B, 64 a read', bytes: 100, batch: 64, count: 64_000, text: 'ascii' },
  { name: '16 KiB, one a read', bytes: 16 * KIB, batch: 1, count: 3_000, text: 'ascii' },
  { name: '16 KiB, non-ASCII', bytes: 16 * KIB, batch: 1, count: 2_000, text: 'mixed' },
  { name: '1 MiB', bytes: KIB * KIB, batch: 1, count: 80, text: 'ascii' },
  { name: '1 MiB, non-ASCII', bytes: KIB * KIB, batch: 1, count: 50, text: 'mixed' },
];

/** What a call through the gateway costs in all, and the part of it that may go to the library. */
const BUDGETS = [
  { bytes: 100, callUs: 45, share: 0.1 },
  { bytes: KIB * KIB, callUs: 2600, share: 0.25 },
];

const WAYS: readonly Way[] = ['count', 'cutter', 'eventsource'];
const FRAME_OVERHEAD = 'event: message\ndata: \n\n'.length;

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '21' } } });
const rounds = Number(options.rounds);

const sender = startChild('./eventsource-sender.ts');
const ports = await nextMessage<{ streamPort: number; ackPort: number }>(sender);

const rows: string[][] = [];
const verdicts: string[] = [];
for (const load of LOADS) {
  const outcomes = await measure(load);
  const cpu = (way: Way): readonly number[] => outcomes[way].map((outcome) => outcome.cpuUs);
  const extra = spread(cpu('eventsource').map((us, round) => us - (cpu('cutter')[round] ?? NaN)));
  rows.push([
    load.name,
    ...WAYS.map((way) => show(spread(cpu(way)))),
    show(extra),
    ...WAYS.map((way) => digits(spread(outcomes[way].map((outcome) => outcome.wallUs)).median)),
  ]);
  for (const { bytes, callUs, share } of BUDGETS) {
    if (bytes !== load.bytes) continue;
    const limit = callUs * share;
    const claim = extra.median > limit ? 'MORE than' : 'within';
    verdicts.push(`${load.name}: eventsource adds ${digits(extra.median)} us over the cutter, ${claim} ${limit} us`);
  }
}
console.log(
  `\nmedian (lowest-highest) of ${rounds} interleaved rounds, microseconds per message, Node ${process.version}\n`,
);
console.log(
  table(
    [
      'messages',
      'CPU count',
      'CPU cutter',
      'CPU eventsource',
      'CPU eventsource - cutter',
      ...WAYS.map((way) => `wall ${way}`),
    ],
    rows,
  ),
);
console.log(`\n${verdicts.join('\n')}`);
sender.disconnect();

async function measure(load: Load): Promise<Record<Way, Outcome[]>> {
  const warmUp = Math.ceil(load.count / 4 / load.batch) * load.batch;
  const total = warmUp + load.count;
  const round: Round = {
    ...ports,
    path: `/?size=${load.bytes}&batch=${load.batch}&count=${total}&text=${load.text}`,
    dataBytes: load.bytes,
    frameBytes: load.bytes + FRAME_OVERHEAD,
    batch: load.batch,
    warmUp,
    count: load.count,
  };
  // New processes for each load: what V8 compiled for small messages is not what it compiles for large ones.
  const file = './eventsource-receiver.ts';
  const receivers = { count: startChild(file), cutter: startChild(file), eventsource: startChild(file) };
  const outcomes: Record<Way, Outcome[]> = { count: [], cutter: [], eventsource: [] };
  // Round 0 lets each process compile its path and is thrown away.
  for (let at = 0; at <= rounds; at += 1) {
    for (const way of WAYS) {
      receivers[way].send({ way, round });
      const outcome = await nextMessage<Outcome>(receivers[way]);
      if (at > 0) outcomes[way].push(outcome);
    }
  }
  for (const child of Object.values(receivers)) child.disconnect();
  return outcomes;
}
