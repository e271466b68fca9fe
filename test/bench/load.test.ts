// The load against servers that lie, fail or wait: what it says of them.
import { createServer, type ServerResponse } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { sessionCallers, sessionlessCallers } from '../../bench/callers.ts';
import { listen } from '../../bench/child.ts';
import { echoAnswerHead, echoAnswerTail, padding } from '../../bench/echo-tool.ts';
import type { LoadFigures } from '../../bench/load-messages.ts';
import { runLoad } from '../../bench/load.ts';
import { runOpenLoop } from '../../bench/open-loop.ts';

const SHAPE = { size: 16, progress: 0, payload: 0 };

interface Asked {
  readonly id: number | string;
  readonly method?: string;
  readonly params: { readonly arguments: { readonly nonce: string; readonly size: number } };
}

type Answerer = (asked: Asked, response: ServerResponse) => void;

function rightAnswer({ id, params }: Asked): string {
  const { nonce, size } = params.arguments;
  return echoAnswerHead(nonce) + padding(size) + echoAnswerTail(JSON.stringify(id));
}

async function serve(answer: Answerer): Promise<{ port: number; path: string }> {
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const asked: Asked = text === '' ? {} : JSON.parse(text);
      response.setHeader('content-type', 'application/json');
      answer(asked, response);
    });
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: await listen(server), path: '/mcp' };
}

/** A short closed loop. */
async function loaded(answer: Answerer, callers = 4): Promise<LoadFigures> {
  const crew = await sessionlessCallers(await serve(answer), callers);
  const tally = await runLoad(crew.callers, SHAPE, 0.03);
  await crew.close();
  return tally.figures(crew.misrouted());
}

test('right answers are right', async () => {
  const figures = await loaded((asked, response) => response.end(rightAnswer(asked)));

  expect(figures).toMatchObject({ wrong: 0, errors: 0, misrouted: 0, progressLost: 0 });
  expect(figures.right).toBeGreaterThan(0);
});

test('answers that changed places are wrong', async () => {
  let waiting: { asked: Asked; response: ServerResponse } | undefined;
  const figures = await loaded((asked, response) => {
    if (waiting === undefined) {
      waiting = { asked, response };
      return;
    }
    waiting.response.end(rightAnswer(asked));
    response.end(rightAnswer(waiting.asked));
    waiting = undefined;
  }, 2);

  expect(figures.right).toBe(0);
  expect(figures.wrong).toBeGreaterThan(0);
  expect(figures.reasons[0]).toContain('WRONG: not the');
});

test('one wrong id in many right answers is found', async () => {
  let count = 0;
  const figures = await loaded((asked, response) => {
    count += 1;
    response.end(rightAnswer(count === 7 ? { ...asked, id: typeof asked.id === 'number' ? `${asked.id}` : 7 } : asked));
  });

  expect(figures.wrong).toBe(1);
});

test('refusals and lost connections are errors, each with its reason', async () => {
  let count = 0;
  const figures = await loaded((asked, response) => {
    count += 1;
    if (count === 2) response.writeHead(503).end('busy');
    else if (count === 3) response.destroy();
    else response.end(rightAnswer(asked));
  }, 1);

  expect(figures).toMatchObject({ errors: 2, wrong: 0 });
  expect(figures.reasons).toEqual([
    expect.stringContaining('HTTP 503 busy'),
    expect.stringMatching(/connection|ECONNRESET/),
  ]);
  // It goes on over a new connection.
  expect(figures.right).toBeGreaterThan(1);
});

test('an answer from another session is wrong, and so is a session that is given twice', async () => {
  const target = await serve((asked, response) => {
    if (asked.method === 'initialize') {
      response.setHeader('mcp-session-id', 'own').end(`{"jsonrpc":"2.0","id":${JSON.stringify(asked.id)},"result":{}}`);
    } else if (asked.method === 'tools/call') response.setHeader('mcp-session-id', 'other').end(rightAnswer(asked));
    else response.writeHead(202).end();
  });
  const crew = await sessionCallers(target, 1, false);
  const tally = await runLoad(crew.callers, SHAPE, 0.01);
  await crew.close();

  const figures = tally.figures(0);
  expect(figures.right).toBe(0);
  expect(figures.reasons[0]).toContain('WRONG: the session other');
  await expect(sessionCallers(target, 2, false)).rejects.toThrow('one session was given twice');
});

test('sessions are opened at their homes and called at each of the others in turn, as many do that have no affinity', async () => {
  const asked: string[] = [];
  const place = (name: string): Promise<{ port: number; path: string }> =>
    serve((message, response) => {
      asked.push(`${message.method ?? 'DELETE'} at ${name}`);
      if (message.method === 'initialize') {
        response.setHeader('mcp-session-id', `of ${name}`).end(`{"jsonrpc":"2.0","id":0,"result":{}}`);
      } else if (message.method === 'tools/call') response.end(rightAnswer(message));
      else response.writeHead(202).end();
    });
  const [home, left, right] = [await place('home'), await place('left'), await place('right')];
  const crew = await sessionCallers({ ...left, homes: [home.port], via: [left.port, right.port] }, 1, false);
  const tally = await runLoad(crew.callers, SHAPE, 0.03);
  await crew.close();

  const calls = asked.filter((line) => line.startsWith('tools/call'));
  expect(tally.figures(0)).toMatchObject({ right: calls.length, wrong: 0, errors: 0 });
  expect(asked.filter((line) => !calls.includes(line))).toEqual([
    'initialize at home',
    'notifications/initialized at home',
    'DELETE at home',
  ]);
  expect(new Set(calls)).toEqual(new Set(['tools/call at left', 'tools/call at right']));
  expect(calls.slice(0, 2).every((line, index) => line !== calls[index + 1])).toBe(true);
});

test('in an open loop a server that waits once pays for all calls that were due meanwhile', async () => {
  const [rate, total, held] = [1000, 100, 50];
  const waiting: (() => void)[] = [];
  let arrived = 0;
  const target = await serve((asked, response) => {
    arrived += 1;
    const answer = (): void => void response.end(rightAnswer(asked));
    if (arrived > held) answer();
    else waiting.push(answer);
    if (arrived === held) for (const each of waiting) each();
  });
  const crew = await sessionlessCallers(target, held);
  const tally = await runOpenLoop(crew.callers, SHAPE, total / rate, rate);
  await crew.close();

  const figures = tally.figures(0);
  expect(figures).toMatchObject({ right: total, behind: 0, wrong: 0 });
  // The first was due 49 ms before the one that set them free; a closed loop would tell of the wait of each alone.
  expect(figures.p99Ms).toBeGreaterThan(45);
});

test('in an open loop calls that are never answered are behind, and count with the time they have waited', async () => {
  const target = await serve(() => {});
  const crew = await sessionlessCallers(target, 2);
  const tally = await runOpenLoop(crew.callers, SHAPE, 0.02, 500);
  await crew.close();

  const figures = tally.figures(0);
  expect(figures).toMatchObject({ right: 0, behind: 10 });
  expect(figures.p50Ms).toBeGreaterThan(1000);
});
