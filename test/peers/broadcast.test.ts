// supergateway 4 runs one stdio server for everybody and sends each of its messages to every open stream. Behind such a server
// two links are a leak; the gateway has to notice by itself and go on over one.
import { expect, test } from 'vitest';
import { startCountingRelay } from './support/counting-relay.ts';
import { startGateway } from './support/gateway.ts';
import { startSupergateway } from './support/legacy-peers.ts';
import { answer, echo, echoed, openSession, post } from './support/raw-mcp.ts';

test('behind a server that broadcasts, sessions and sessionless callers get their own answers over one link', async () => {
  const relay = await startCountingRelay((await startSupergateway()).port);
  const { child, url } = await startGateway(relay.port);
  await post(url, echo(1, 'a pooled link is open'));

  const [one, other] = await Promise.all([openSession(url), openSession(url)]);
  const callers = [
    { name: 'one', call: (body: string) => one.call(body) },
    { name: 'other', call: (body: string) => other.call(body) },
    { name: 'nobody', call: async (body: string) => answer(await post(url, body)) },
  ];
  const calls = Array.from({ length: 20 }, (_, index) =>
    callers.map(async ({ name, call }) => ({
      given: await call(echo(index, `${name} ${index}`)),
      expected: echoed(index, `${name} ${index}`),
    })),
  );
  const results = await Promise.all(calls.flat());

  for (const { given, expected } of results) expect(given).toMatchObject(expected);
  await child.printed(({ stderr }) => /one link/i.exec(stderr)?.[0], 'line that says it runs on one link');
  await relay.streams((open) => open === 1, 'one link is left');
});

test('a call that is under way when the gateway notices gets its own answer or an error, never another one', async () => {
  const relay = await startCountingRelay((await startSupergateway()).port);
  const { url } = await startGateway(relay.port);

  const early = Array.from({ length: 10 }, async (_, index) => ({
    index,
    reply: await post(url, echo(index, `early ${index}`)),
  }));
  const session = await openSession(url);
  const given = await session.call(echo(1, 'session'));

  for (const { index, reply } of await Promise.all(early)) {
    const message = answer(reply);
    if (JSON.stringify(message).includes('"result"')) expect(message).toMatchObject(echoed(index, `early ${index}`));
    else expect(message).toMatchObject({ id: index, error: { code: expect.any(Number) } });
  }
  expect(given).toMatchObject(echoed(1, 'session'));
});
