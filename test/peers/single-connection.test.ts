// A server that survives one connection only: the newest stream takes every answer, and the first stream that ends takes the
// process with it. With --single it works; without, the operator must learn of --single from the log.
import { expect, onTestFinished, test } from 'vitest';
import { startCountingRelay, type CountingRelay } from './support/counting-relay.ts';
import { startGateway } from './support/gateway.ts';
import { startFirstEverything, type LegacyPeer } from './support/legacy-peers.ts';
import { answer, echo, echoed, openSession, post } from './support/raw-mcp.ts';

test('with --single, 20 sessionless calls at once are answered over one link and the server lives', async () => {
  const server = await startFirstEverything();
  const relay = await startCountingRelay(server.port);
  const { url } = await startGateway(relay.port, '--single');

  const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => post(url, echo(index, `call ${index}`))));

  for (const [index, reply] of replies.entries()) expect(answer(reply)).toMatchObject(echoed(index, `call ${index}`));
  expect(relay.mostOpenStreams).toBe(1);
  expect(server.child.isAlive).toBe(true);
});

test('with --single, sessions and sessionless callers share that link', async () => {
  const server = await startFirstEverything();
  const relay = await startCountingRelay(server.port);
  const { url } = await startGateway(relay.port, '--single');

  const [one, other] = await Promise.all([openSession(url), openSession(url)]);
  const answers = await Promise.all([
    one.call(echo(1, 'one')),
    other.call(echo(1, 'other')),
    post(url, echo(1, 'none')).then(answer),
  ]);
  await one.delete();
  const afterwards = await other.call(echo(2, 'still there'));

  expect(answers).toMatchObject([echoed(1, 'one'), echoed(1, 'other'), echoed(1, 'none')]);
  expect(afterwards).toMatchObject(echoed(2, 'still there'));
  expect(relay.mostOpenStreams).toBe(1);
  expect(server.child.isAlive).toBe(true);
});

test('without --single, sessions beside sessionless calls make the gateway name the flag', async () => {
  const server = await startFirstEverything();
  const relay = await startCountingRelay(server.port);
  keepRunning(server, relay);
  const { child, url } = await startGateway(relay.port);

  // What becomes of calls to such a server is not promised: callers try again, and whoever runs it starts it again.
  for (let round = 0; round < 6 && !child.stderr.includes('--single'); round += 1) {
    await Promise.allSettled([openSession(url, 4_000), post(url, echo(1, 'beside it'), {}, 4_000)]);
    await relay.streams((open) => open > 0, 'a link is open again', 5_000).catch(() => {});
  }

  await child.printed(({ stderr }) => /--single/.exec(stderr)?.[0], 'line that names --single', 10_000);
});

/** As a supervisor does: whenever the server has ended, another one takes its place behind the relay. */
function keepRunning(first: LegacyPeer, relay: CountingRelay): void {
  let isOver = false;
  onTestFinished(() => {
    isOver = true;
  });
  const watch = async (server: LegacyPeer): Promise<void> => {
    await server.child.exited;
    if (isOver) return;
    const next = await startFirstEverything();
    relay.retarget(next.port);
    await watch(next);
  };
  watch(first).catch((error: unknown) => {
    if (!isOver) console.error('the server could not be started again', error);
  });
}
