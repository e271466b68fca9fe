// A server that is started again while a thousand sessions are open: none of their clients is lost, and the server is not
// run over by all of them.

import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { inTurn, send, startGatewayProcess } from '../support/gateway-process.ts';
import { endpoints } from '../support/legacy-behaviour.ts';
import { startLegacyServer } from '../support/legacy-server.ts';

const SESSIONS = 1000;
/** The defaults of the gateway: links that are opened again a second, and at once. */
const RATE = 50;
const AT_ONCE = 16;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: { a: 1, b: 2 } } };

test.each([0, 15])(
  '1,000 sessions are served again within their number by reconnect.rate and 5 s, and nobody is lost, after %i s',
  async (outage) => {
    const handshakes = { opened: 0, done: 0, mostAtOnce: 0, at: [] as number[] };
    const upstream = await startLegacyServer({
      endpoint: (id) => {
        handshakes.opened++;
        handshakes.at.push(performance.now());
        handshakes.mostAtOnce = Math.max(handshakes.mostAtOnce, handshakes.opened - handshakes.done);
        return endpoints.path(id);
      },
      post: ({ method }) => {
        if (method === 'notifications/initialized') handshakes.done++;
        return 'accepted';
      },
    });
    onTestFinished(() => upstream.close());
    const gateway = await startGatewayProcess(upstream.url, '--links-max-dedicated=2000', '--log-level=warn');
    const sessions = await inTurn(SESSIONS, 8, () => gateway.openSession());
    await upstream.stop();
    // A call on a link of which it is not known yet that it is dead may have run.
    await gateway.scrapeUntil((of) => of.sum('causeway_links', { use: 'dedicated', state: 'open' }) === 0, 30_000);
    Object.assign(handshakes, { opened: 0, done: 0, mostAtOnce: 0, at: [] });
    const startedAt = performance.now() + outage * 1000;
    const back = delay(outage * 1000).then(() => upstream.start());
    if (outage === 0) await back;

    const told = { served: 0, refused: 0, others: [] as unknown[] };
    const lastServedAt = await inTurn(SESSIONS, SESSIONS, async (number) => {
      const headers = { 'mcp-session-id': sessions[number] ?? '' };
      for (;;) {
        // oxlint-disable no-await-in-loop -- as a client does that is told when to come back
        const answer = await send(gateway.endpoint, CALL, headers);
        const retryAfter = Number(answer.headers['retry-after']);
        if (answer.status === 200 && answer.text.includes('"3"')) {
          told.served++;
          return performance.now();
        }
        // Before a byte was sent: refused by whoever does not listen, or told to come back.
        const isDown = answer.status === 502 && answer.text.includes('not_executed') && performance.now() < startedAt;
        if (!isDown && (answer.status !== 503 || !(retryAfter >= 1))) {
          told.others.push([answer.status, answer.text]);
          return performance.now();
        }
        told.refused++;
        await delay(isDown ? 1000 : retryAfter * 1000);
        // oxlint-enable no-await-in-loop
      }
    });

    await back;
    const seconds = (Math.max(...lastServedAt) - startedAt) / 1000;
    // In any second as many as the rate allows, and what it had saved up.
    const inASecond = handshakes.at.map(
      (at, i) => handshakes.at.filter((other, j) => j <= i && at - other < 1000).length,
    );
    const mostInASecond = Math.max(...inASecond);
    console.log(
      `${SESSIONS} sessions over an outage of ${outage} s: all served after ${seconds.toFixed(1)} s, ${told.refused} times 503; ` +
        `${handshakes.opened} handshakes, at most ${handshakes.mostAtOnce} at once and ${mostInASecond} in a second`,
    );
    expect(told.others).toEqual([]);
    expect(told.served).toBe(SESSIONS);
    expect(seconds).toBeLessThanOrEqual(SESSIONS / RATE + 5);
    expect(handshakes.mostAtOnce).toBeLessThanOrEqual(AT_ONCE);
    // They are counted where they arrive.
    expect(mostInASecond).toBeLessThanOrEqual(2 * RATE + AT_ONCE);
  },
);
