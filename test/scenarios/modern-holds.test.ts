// A call that waits for its client to come back with answers holds a link, and nobody has to come back: what becomes of
// the upstream, of the links and of everybody else when clients of 2026-07-28 leave.

import { expect, test } from 'vitest';
import { ANYONE } from '../../src/domain/principal.ts';
import { FULL_PROFILE } from '../../src/protocol/capability-profile.ts';
import { type Answer, type Gateway, gatewayBefore } from '../support/gateway.ts';
import { CountedTime } from '../support/counted-time.ts';
import { type Answerer, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer, Received } from '../support/legacy-server.ts';
import { EVERYTHING, askedIn, leavingModern, modern, retry } from '../support/modern-client.ts';
import { FORM, LISTED, NAMED, ROOTS, SAMPLED, SAMPLING } from '../support/questions.ts';

function tool(name: string, args: object = {}, capabilities: object = EVERYTHING) {
  return ['tools/call', { name, arguments: args }, { capabilities }] as const;
}

function answersTo(upstream: LegacyServer): Received[] {
  return upstream.received.filter(
    ({ message }) => message.method === undefined && JSON.stringify(message.result) !== '{}',
  );
}

/** What is held, what runs, and what waits for somebody to answer. */
function counts(gateway: Gateway): { held: number; inFlight: number } {
  const [mount] = gateway.app.mounts;
  return { held: mount?.modern.held.size ?? -1, inFlight: mount?.inFlight ?? -1 };
}

function expectUsedUp({ status, json }: Answer): void {
  expect([status, json.error?.code, json.error?.data.reason]).toEqual([200, -32602, 'request_state_invalid']);
}

async function retired(gateway: Gateway): Promise<unknown> {
  return gateway.journal.until((fact) => fact.fact === 'link_closed' && fact.reason === 'retired');
}

// Nobody comes back

test('a round that nobody answers ends in time: questions answered, call cancelled, link retired, nothing left [F50 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { timeouts: { round: '30ms' }, links: { min: 0 } });
  const questions = [FORM, SAMPLING, ROOTS];

  const asked = await modern(gateway, ...tool('ask', { questions }));
  const got = [];
  for (const id of questions.keys()) got.push((await upstream.nextReply(id)).message);
  await upstream.nextRequest('notifications/cancelled');
  await retired(gateway);
  await upstream.whenStreams(0);

  expect(Object.keys(askedIn(asked))).toHaveLength(3);
  expect(got).toMatchObject([{ result: { action: 'cancel' } }, { error: { code: -1 } }, { error: { code: -32603 } }]);
  expect(answersTo(upstream)).toHaveLength(3);
  expect(counts(gateway)).toEqual({ held: 0, inFlight: 0 });
  expectUsedUp(await retry(gateway, asked, { name: NAMED }, tool('ask', { questions })));
});

test('an answer that is kept for a client is forgotten in time, and the upstream hears nothing of that [F50]', async () => {
  const givesUp: Answerer = (call) => {
    void call.ask(FORM.method, FORM.params);
    return call.released.then(() => text('without you'));
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { givesUp } }, { timeouts: { round: '100ms' } });
  const asked = await modern(gateway, ...tool('givesUp'));
  (await upstream.nextCall('givesUp')).release();
  await upstream.nextReply(0);
  expect(counts(gateway)).toEqual({ held: 1, inFlight: 0 });

  await expect.poll(() => counts(gateway), { timeout: 5000 }).toEqual({ held: 0, inFlight: 0 });

  expectUsedUp(await retry(gateway, asked, { name: NAMED }, tool('givesUp')));
  expect(upstream.received.filter(({ message }) => message.method === 'notifications/cancelled')).toEqual([]);
});

test('a client that leaves during its retry takes the call along [F50 F45]', async () => {
  const patient: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    await call.cancelled;
    return text('too late');
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { patient } }, { links: { min: 0 } });
  const asked = await modern(gateway, ...tool('patient'));
  const { requestState } = asked.json.result;
  const params = { name: 'patient', arguments: {}, requestState, inputResponses: { name: NAMED } };
  const leaving = await leavingModern(gateway, 'tools/call', params, { capabilities: EVERYTHING });
  expect((await upstream.nextReply(0)).message.result).toEqual(NAMED);

  leaving.leave();
  await upstream.nextRequest('notifications/cancelled');
  await retired(gateway);

  expect(counts(gateway)).toEqual({ held: 0, inFlight: 0 });
  expectUsedUp(await retry(gateway, asked, { name: NAMED }, tool('patient')));
});

test('a client that leaves while its questions are gathered is not asked, and the upstream is told [F50 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const leaving = await leavingModern(
    gateway,
    'tools/call',
    { name: 'slow', arguments: {} },
    { capabilities: EVERYTHING },
  );
  const call = await upstream.nextCall('slow');

  leaving.leave();
  void call.ask(SAMPLING.method, SAMPLING.params);
  await upstream.nextRequest('notifications/cancelled');
  await retired(gateway);
  await upstream.whenStreams(0);

  expect(counts(gateway)).toEqual({ held: 0, inFlight: 0 });
  expect(answersTo(upstream).length).toBeLessThanOrEqual(1);
});

// Others

/** Far from links.queueTimeout, and far enough from the 2 s that it may take, for a machine that has much to do. */
const SOON_MS = 5000;

test('forty calls that ask and are never answered lock nobody out [F50]', async () => {
  const { gateway, upstream } = await gatewayBefore();
  const all = await Promise.all(Array.from({ length: 40 }, () => modern(gateway, ...tool('ask'))));

  const startedAt = performance.now();
  const plain = await modern(gateway, ...tool('count'));
  const tookMs = performance.now() - startedAt;

  expect(new Set(all.map(({ json }) => json.result?.resultType))).toEqual(new Set(['input_required']));
  expect(plain.json.result.resultType).toBe('complete');
  expect(tookMs).toBeLessThan(SOON_MS);
  expect(counts(gateway)).toEqual({ held: 16, inFlight: 16 });
  expect(upstream.streams.length).toBeLessThanOrEqual(32);
});

test('where the only link is held, a caller who has waited 1.5 s has it, and the round is over [F50]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1 } });
  const asked = await modern(gateway, ...tool('ask'));

  const startedAt = performance.now();
  const plain = await modern(gateway, ...tool('count'));
  const tookMs = performance.now() - startedAt;

  expect(plain.json.result.resultType).toBe('complete');
  expect(Math.round(tookMs)).toBeGreaterThanOrEqual(1450);
  expect(tookMs).toBeLessThan(SOON_MS);
  expect((await upstream.nextReply(0)).message.result).toEqual({ action: 'cancel' });
  expectUsedUp(await retry(gateway, asked, { name: NAMED }, tool('ask')));
});

test('a call that runs while somebody waits, and then asks, makes room soon after, when he has waited for long [F50]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1 } });
  const first = modern(gateway, ...tool('asksLater'));
  const call = await upstream.nextCall('asksLater');
  const plain = modern(gateway, ...tool('count'));
  await expect.poll(() => hasLongWaiter(gateway), { timeout: 3000 }).toBe(true);

  call.release();
  const [asked, done] = await Promise.all([first, plain]);

  expect(Object.keys(askedIn(asked))).toEqual(['name']);
  expect(done.json.result.resultType).toBe('complete');
  expectUsedUp(await retry(gateway, asked, { name: NAMED }, tool('asksLater')));
});

function hasLongWaiter(gateway: Gateway): boolean {
  const mount = gateway.app.mounts[0] ?? expect.fail();
  return mount.hasLongWaiter(mount.key(ANYONE, FULL_PROFILE));
}

test('callers who declare many different things lock nobody out either [F50]', async () => {
  const { gateway } = await gatewayBefore({}, { links: { max: 4, maxTotal: 4, min: 0 } });
  const declared = [{ roots: {} }, { roots: {}, sampling: {} }];
  for (const capabilities of declared) {
    const call = tool('ask', { questions: [ROOTS] }, capabilities);
    for (const asked of await Promise.all([modern(gateway, ...call), modern(gateway, ...call)])) {
      expect(Object.keys(askedIn(asked))).toEqual(['r1-1']);
    }
  }
  // At most half of all links, too.
  expect(counts(gateway)).toEqual({ held: 2, inFlight: 2 });

  const startedAt = performance.now();
  const plain = await modern(gateway, ...tool('count', {}, {}));

  expect(plain.json.result?.resultType).toBe('complete');
  expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
});

test.each([
  [2, 1],
  [5, 2],
  [8, 4],
])('of %i links at most %i are held: the oldest round makes room [F50]', async (max, most) => {
  const { gateway } = await gatewayBefore({}, { links: { max } });
  const rounds: Answer[] = [];

  while (rounds.length <= most) {
    const asked = await modern(gateway, ...tool('ask', { questions: [ROOTS] }));
    rounds.push(asked);
    expect(counts(gateway).held).toBeLessThanOrEqual(most);
  }
  const again = [];
  for (const asked of rounds) {
    again.push(await retry(gateway, asked, { 'r1-1': LISTED }, tool('ask', { questions: [ROOTS] })));
  }

  const [oldest, ...newer] = again;
  expectUsedUp(oldest ?? expect.fail());
  expect(newer.map(({ json }) => json.result?.resultType)).toEqual(Array(most).fill('complete'));
});

test('a call whose upstream has answered holds no link, so it makes no room for others [F50]', async () => {
  const givesUp: Answerer = (call) => {
    void call.ask(FORM.method, FORM.params);
    return call.released.then(() => text('without you'));
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { givesUp } }, { links: { max: 2 } });
  const kept = await modern(gateway, ...tool('givesUp'));
  (await upstream.nextCall('givesUp')).release();
  await upstream.nextReply(0);
  const held = await modern(gateway, ...tool('ask', { questions: [ROOTS] }));

  const both = [
    await retry(gateway, kept, {}, tool('givesUp')),
    await retry(gateway, held, { 'r1-1': LISTED }, tool('ask', { questions: [ROOTS] })),
  ];

  expect(both.map(({ json }) => json.result?.resultType)).toEqual(['complete', 'complete']);
});

// What a caller leaves behind

test('a tool that ignores its cancel and asks later asks nobody: its link is not used again [F51 G17]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, min: 0 } });
  const leaving = await leavingModern(
    gateway,
    'tools/call',
    { name: 'asksLater', arguments: {} },
    { capabilities: EVERYTHING },
  );
  const left = await upstream.nextCall('asksLater');
  leaving.leave();
  await upstream.nextRequest('notifications/cancelled');

  const next = modern(gateway, ...tool('slow'));
  const call = await upstream.nextCall('slow');
  left.release();
  call.release();

  expect(call.stream).not.toBe(left.stream);
  expect((await next).json.result).toMatchObject({ resultType: 'complete', content: [{ text: 'done' }] });
  expect(gateway.journal.of('link_closed').map(({ reason }) => reason)).toEqual(['retired']);
});

test('a call that times out leaves its link behind, too [F51 G18]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { max: 1, min: 0 }, timeouts: { request: '50ms' } });

  const timedOut = await modern(gateway, ...tool('asksLater'));
  const left = await upstream.nextCall('asksLater');
  const next = modern(gateway, ...tool('ask', { questions: [ROOTS] }));
  left.release();

  expect(timedOut.json.error.data.reason).toBe('request_timeout');
  expect(Object.keys(askedIn(await next))).toEqual(['r1-1']);
  expect((await upstream.nextCall('ask')).stream).not.toBe(left.stream);
});

test('the time of a call does not run while its client is asked', async () => {
  const { gateway } = await gatewayBefore({}, { timeouts: { request: '500ms', requestMax: '500ms' } });
  const args = { questions: [ROOTS] };
  const asked = await modern(gateway, ...tool('ask', args));
  const other = await modern(gateway, ...tool('never'));

  const done = await retry(gateway, asked, { 'r1-1': LISTED }, tool('ask', args));

  expect(other.json.error.data.reason).toBe('request_timeout');
  expect(done.json.result.resultType).toBe('complete');
});

// The end

test('a gateway that stops answers the questions of its held calls, and cancels them [F50 G10]', async () => {
  const { gateway, upstream } = await gatewayBefore({}, { links: { min: 0 } });
  const asked = await Promise.all([
    modern(gateway, ...tool('ask', { questions: [FORM] })),
    modern(gateway, ...tool('ask', { questions: [SAMPLING] })),
  ]);
  expect(asked.map(askedIn).flatMap(Object.keys)).toEqual(['name', 'r1-1']);

  await gateway.app.close();
  const got = [await upstream.nextReply(0), await upstream.nextReply(0)].map(({ message }) => message);
  await upstream.nextRequest('notifications/cancelled');
  await upstream.nextRequest('notifications/cancelled');
  await upstream.whenStreams(0);

  expect(got.filter(({ result }) => JSON.stringify(result) === '{"action":"cancel"}')).toHaveLength(1);
  expect(got.filter(({ error }) => error?.code === -1)).toHaveLength(1);
  expect(counts(gateway)).toEqual({ held: 0, inFlight: 0 });
});

test('a gateway that stops lets a retry finish that is under way', async () => {
  const patient: Answerer = async (call) => {
    await call.ask(FORM.method, FORM.params);
    await call.released;
    return text('done');
  };
  const { gateway, upstream } = await gatewayBefore({ tools: { patient } }, { drain: { timeout: '5s' } });
  const asked = await modern(gateway, ...tool('patient'));
  const again = retry(gateway, asked, { name: NAMED }, tool('patient'));
  await upstream.nextReply(0);

  const closed = gateway.app.close();
  (await upstream.nextCall('patient')).release();

  expect((await again).json.result.content).toEqual([{ type: 'text', text: 'done' }]);
  await closed;
});

// At random

/** Lengths that nothing else has. */
const LENGTHS = {
  request: 61_001,
  round: 61_002,
  heartbeat: 61_003,
  queue: 61_004,
  together: 5,
  impatience: 1500,
  patience: 500,
};

test('300 calls of which half are aborted at any time: every link is free again but those that are held [F50 G10]', async () => {
  const COUNT = 300;
  const mixed: Answerer = async (call) => {
    const i = Number(call.args['i']);
    if (i % 3 === 0) return text('plain');
    const { method, params } = i % 3 === 1 ? FORM : { ...ROOTS, params: {} };
    if (i % 5 === 0) call.progress(1);
    const { error } = await call.ask(method, params);
    return text(error === undefined ? 'answered' : 'refused');
  };
  const time = new CountedTime();
  const { gateway, upstream } = await gatewayBefore(
    { tools: { mixed } },
    {
      heartbeat: `${LENGTHS.heartbeat}ms`,
      timeouts: { request: `${LENGTHS.request}ms`, round: `${LENGTHS.round}ms` },
      links: { max: 8, maxQueue: COUNT, queueTimeout: `${LENGTHS.queue}ms` },
    },
    time,
  );
  let leftCount = 0;
  let completed = 0;
  const one = async (i: number): Promise<void> => {
    const params = { name: 'mixed', arguments: { i } };
    const options = {
      capabilities: EVERYTHING,
      ...(i % 7 === 0 && { logLevel: 'info' }),
      ...(i % 2 === 0 && { progressToken: i }),
    };
    if (Math.random() < 0.5) {
      const leaving = await leavingModern(gateway, 'tools/call', params, options);
      await ticks(Math.floor(Math.random() * 40));
      leaving.leave();
      leftCount++;
      return;
    }
    const asked = await modern(gateway, 'tools/call', params, options);
    if (asked.json.result?.resultType !== 'input_required') {
      expect(asked.json.result?.content).toEqual([{ type: 'text', text: 'plain' }]);
      completed++;
      return;
    }
    const inputResponses = i % 3 === 1 ? { name: NAMED } : { 'r1-1': LISTED };
    const { requestState } = asked.json.result;
    if (Math.random() < 0.5) {
      const again = { ...params, requestState, inputResponses };
      const leaving = await leavingModern(gateway, 'tools/call', again, options);
      await ticks(Math.floor(Math.random() * 20));
      leaving.leave();
      leftCount++;
      return;
    }
    const done = await retry(gateway, asked, inputResponses, ['tools/call', params, options]);
    // Its place may have been needed.
    if (done.json.error !== undefined) expectUsedUp(done);
    else expect(done.json.result.content).toEqual([{ type: 'text', text: 'answered' }]);
    completed++;
  };

  const running = [];
  for (let i = 0; i < COUNT; i++) {
    running.push(one(i));
    if (i % 16 === 0) await ticks(5);
  }
  await Promise.all(running);

  expect(leftCount + completed).toBe(COUNT);
  // Some left after they had been asked: those rounds are held, and are all that is.
  await expect
    .poll(
      () => {
        const { held, inFlight } = counts(gateway);
        return {
          free: inFlight - held,
          waitingForHolds: time.pending(LENGTHS.round) - held,
          ...Object.fromEntries(
            (['request', 'heartbeat', 'queue', 'together', 'impatience', 'patience'] as const).map((name) => [
              name,
              time.pending(LENGTHS[name]),
            ]),
          ),
        };
      },
      { timeout: 5000 },
    )
    .toEqual({
      free: 0,
      waitingForHolds: 0,
      request: 0,
      heartbeat: 0,
      queue: 0,
      together: 0,
      impatience: 0,
      patience: 0,
    });
  expect(counts(gateway).held).toBeLessThanOrEqual(4);
  const done = await modern(gateway, ...tool('ask', { questions: [SAMPLING] }));
  const answered = await retry(gateway, done, { 'r1-1': SAMPLED }, tool('ask', { questions: [SAMPLING] }));
  expect(answered.json.result.resultType).toBe('complete');
  expect(gateway.journal.of('exchange').filter(({ reason }) => reason === 'internal_error')).toEqual([]);
  expect(upstream.streams.length).toBeLessThanOrEqual(9);
});

/** Turns of the event loop, with its I/O. */
async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
