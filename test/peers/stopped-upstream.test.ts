// A server that hangs without closing anything: the sockets stay, nothing answers. Real time, because the silence is the story.
import { setTimeout as pass } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startGateway } from './support/gateway.ts';
import { startEverything } from './support/legacy-peers.ts';
import { answer, echo, echoed, post } from './support/raw-mcp.ts';

const silenceMs = 60_000;
const errorWithinMs = 20_000;
const recoveryWithinMs = 20_000;

test('a call after a minute of silence from a stopped server fails within 20 s, and calls work when it goes on', async () => {
  const server = await startEverything();
  const { url } = await startGateway(server.port);
  await post(url, echo(1, 'before'));

  server.child.signal('SIGSTOP');
  await pass(silenceMs);
  const asked = performance.now();
  const failed = await post(url, echo(2, 'stopped'), {}, errorWithinMs + 10_000);
  const errorAfterMs = performance.now() - asked;
  server.child.signal('SIGCONT');
  const recovered = await callUntilAnswered(url);

  expect(errorAfterMs).toBeLessThan(errorWithinMs);
  expect([200, 502, 503, 504]).toContain(failed.status);
  expect(answer(failed)).toMatchObject({ jsonrpc: '2.0', id: 2, error: { code: expect.any(Number) } });
  expect(recovered).toMatchObject(echoed(3, 'after'));
});

/** As a caller does who honours 503: until it works, within bounds. */
async function callUntilAnswered(url: string): Promise<unknown> {
  const deadline = performance.now() + recoveryWithinMs;
  for (;;) {
    const reply = await post(url, echo(3, 'after'), {}, recoveryWithinMs);
    if (reply.status === 200 || performance.now() > deadline) return answer(reply);
    await pass(250);
  }
}
