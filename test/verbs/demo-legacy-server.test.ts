import { request } from 'node:http';
import { createParser } from 'eventsource-parser';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startLegacyServer } from '../../src/verbs/demo/legacy-server.ts';

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

interface Demo {
  readonly url: URL;
  readonly close: () => Promise<void>;
}

async function started(): Promise<Demo> {
  const server = await startLegacyServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  return server;
}

interface Client {
  readonly endpoint: URL;
  readonly post: (body: unknown, headers?: Record<string, string>) => Promise<Response>;
  /** The first message, past or future, that fits. */
  readonly message: (fits: (message: Message) => boolean) => Promise<Message>;
  readonly messages: readonly Message[];
  readonly comment: () => Promise<string>;
  readonly ended: Promise<void>;
  readonly leave: () => Promise<void>;
}

async function connect({ url }: Demo): Promise<Client> {
  const leaving = new AbortController();
  const response = await fetch(url, { signal: leaving.signal });
  const messages: Message[] = [];
  const waiting = new Set<() => void>();
  const endpoint = Promise.withResolvers<URL>();
  const comment = Promise.withResolvers<string>();
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === 'endpoint') return endpoint.resolve(new URL(data, url));
      messages.push(JSON.parse(data));
      for (const look of waiting) look();
    },
    onComment: comment.resolve,
  });
  const read = async (): Promise<void> => {
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) parser.feed(text);
  };
  const ended = read().catch(() => {});
  const target = await endpoint.promise;

  return {
    endpoint: target,
    messages,
    comment: () => comment.promise,
    ended,
    leave: async () => {
      leaving.abort();
      await ended;
    },
    post: (body, headers = {}) =>
      fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    message: (fits) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = messages.find(fits);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}

let lastId = 0;
async function ask(client: Client, method: string, params: object = {}): Promise<Message> {
  const id = `test-${++lastId}`;
  expect((await client.post({ jsonrpc: '2.0', id, method, params })).status).toBe(202);
  return client.message((message) => message.id === id);
}

function initialize(client: Client, capabilities: object, protocolVersion = '2025-06-18'): Promise<Message> {
  return ask(client, 'initialize', { protocolVersion, capabilities, clientInfo: { name: 'test', version: '1' } });
}

function callTool(client: Client, name: string, args: object = {}): Promise<Message> {
  return ask(client, 'tools/call', { name, arguments: args });
}

test('the stream begins with the endpoint, and POST is answered 202 with the answer on the stream', async () => {
  const client = await connect(await started());

  const response = await client.post({ jsonrpc: '2.0', id: 1, method: 'ping' });

  expect(client.endpoint.href).toMatch(/\/messages\?sessionId=[0-9a-f-]{36}$/);
  expect([response.status, await response.text()]).toEqual([202, 'Accepted']);
  expect(await client.message(({ id }) => id === 1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
});

test.each([
  ['2024-11-05', '2024-11-05'],
  ['2025-03-26', '2025-03-26'],
  ['2025-06-18', '2025-06-18'],
  ['2025-11-25', '2025-11-25'],
  ['2026-07-28', '2025-11-25'],
])('who asks for %s gets %s', async (asked, agreed) => {
  const client = await connect(await started());

  expect(await initialize(client, {}, asked)).toMatchObject({
    result: { protocolVersion: agreed, capabilities: { tools: {} } },
  });
});

test('every tool has a description and an object schema', async () => {
  const client = await connect(await started());
  const names = ['add', 'echo', 'slow', 'ask_user', 'ask_model'];
  const described = { description: expect.any(String), inputSchema: { type: 'object' } };

  expect(await ask(client, 'tools/list')).toMatchObject({
    result: { tools: names.map((name) => ({ name, ...described })) },
  });
});

test('add adds and echo echoes', async () => {
  const client = await connect(await started());

  expect(await callTool(client, 'add', { a: 2, b: 0.5 })).toMatchObject({ result: { content: [{ text: '2.5' }] } });
  expect(await callTool(client, 'echo', { text: 'ü\u2028\n' })).toMatchObject({
    result: { content: [{ text: 'ü\u2028\n' }] },
  });
});

test('slow reports each step to the token it was given', async () => {
  const client = await connect(await started());
  const params = { name: 'slow', arguments: { seconds: 0.02, steps: 2 }, _meta: { progressToken: 0 } };

  await ask(client, 'tools/call', params);

  expect(client.messages.slice(0, -1)).toMatchObject([
    { method: 'notifications/progress', params: { progressToken: 0, progress: 1, total: 2 } },
    { method: 'notifications/progress', params: { progressToken: 0, progress: 2, total: 2 } },
  ]);
});

test('slow reports nothing without a token', async () => {
  const client = await connect(await started());

  await callTool(client, 'slow', { seconds: 0, steps: 2 });

  expect(client.messages).toHaveLength(1);
});

test('a cancelled call is not answered, and its id is free again', async () => {
  const client = await connect(await started());
  const call = { jsonrpc: '2.0', id: 'c', method: 'tools/call', params: { name: 'slow', arguments: { seconds: 60 } } };

  await client.post(call);
  await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c' } });
  await ask(client, 'ping');
  await client.post({ jsonrpc: '2.0', id: 'c', method: 'ping' });

  expect(await client.message(({ id }) => id === 'c')).toMatchObject({ result: {} });
});

test('ask_user puts the answer into its result', async () => {
  const client = await connect(await started());
  await initialize(client, { elicitation: {} });

  const answered = callTool(client, 'ask_user', { question: 'Tea?' });
  const question = await client.message(({ method }) => method === 'elicitation/create');
  await client.post({ jsonrpc: '2.0', id: question.id, result: { action: 'accept', content: { answer: 'yes' } } });

  expect(question.params).toMatchObject({ message: 'Tea?', requestedSchema: { type: 'object' } });
  expect(await answered).toMatchObject({ result: { content: [{ text: 'The user answered: yes' }] } });
});

test('ask_model puts what the model said into its result', async () => {
  const client = await connect(await started());
  await initialize(client, { sampling: {} });

  const answered = callTool(client, 'ask_model');
  const question = await client.message(({ method }) => method === 'sampling/createMessage');
  const content = { type: 'text', text: 'hello' };
  await client.post({ jsonrpc: '2.0', id: question.id, result: { role: 'assistant', model: 'm', content } });

  expect(await answered).toMatchObject({ result: { content: [{ text: 'The model answered: hello' }] } });
});

test.each([
  ['ask_user', {}, 'did not declare elicitation'],
  ['ask_user', { elicitation: { url: {} } }, 'did not declare elicitation'],
  ['ask_model', {}, 'did not declare sampling'],
])('%s of a client with %j says that nobody can be asked', async (tool, capabilities, reason) => {
  const client = await connect(await started());
  await initialize(client, capabilities);

  expect(await callTool(client, tool)).toMatchObject({
    result: { isError: true, content: [{ text: expect.stringContaining(reason) }] },
  });
});

test.each(['ask_user', 'ask_model'])('%s says that the client refused', async (tool) => {
  const client = await connect(await started());
  await initialize(client, { elicitation: { form: {} }, sampling: {} });

  const answered = callTool(client, tool);
  const { id } = await client.message(({ method }) => method !== undefined);
  await client.post({ jsonrpc: '2.0', id, error: { code: -1, message: 'not now' } });

  expect(await answered).toMatchObject({
    result: { isError: true, content: [{ text: expect.stringContaining('refused: not now') }] },
  });
});

test('a cancelled ask_user takes its question back', async () => {
  const client = await connect(await started());
  await initialize(client, { elicitation: {} });

  await client.post({ jsonrpc: '2.0', id: 'c', method: 'tools/call', params: { name: 'ask_user' } });
  const question = await client.message(({ method }) => method === 'elicitation/create');
  await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'c' } });

  expect(await client.message(({ method }) => method === 'notifications/cancelled')).toMatchObject({
    params: { requestId: question.id },
  });
});

test.each([
  ['resources/list', {}, -32601],
  ['tools/call', {}, -32602],
  ['tools/call', { name: 'toString' }, -32602],
  ['tools/call', { name: 'add', arguments: [1, 2] }, -32602],
  ['tools/call', { name: 'add', arguments: { a: '1', b: 2 } }, -32602],
  ['tools/call', { name: 'echo' }, -32602],
  ['tools/call', { name: 'slow', arguments: { seconds: 1e9 } }, -32602],
  ['tools/call', { name: 'slow', arguments: { steps: 1.5 } }, -32602],
  ['tools/call', { name: 'ask_user', arguments: { question: 1 } }, -32602],
])('%s with %j is answered with an error', async (method, params, code) => {
  const client = await connect(await started());

  expect(await ask(client, method, params)).toMatchObject({ error: { code } });
});

test.each([
  ['not JSON', '{', -32700],
  ['nothing', '', -32700],
  ['no object', '1', -32600],
  ['an empty batch', '[]', -32600],
  ['no version', '{"id":1,"method":"ping"}', -32600],
  ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
  ['an infinite id', '{"jsonrpc":"2.0","id":1e999,"method":"ping"}', -32600],
  ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600],
  ['neither method nor result', '{"jsonrpc":"2.0","id":1}', -32600],
  ['very deep nesting', '['.repeat(1_000_000), -32700],
])('%s gets 400 and a JSON-RPC error', async (_what, body, code) => {
  const client = await connect(await started());

  const response = await client.post(body);

  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ jsonrpc: '2.0', id: null, error: { code } });
  expect(await ask(client, 'ping')).toMatchObject({ result: {} });
});

test('a batch is answered one by one', async () => {
  const client = await connect(await started());

  await client.post([
    { jsonrpc: '2.0', id: 1, method: 'ping' },
    { jsonrpc: '2.0', id: 2, method: 'ping' },
  ]);

  expect(await client.message(({ id }) => id === 2)).toMatchObject({ result: {} });
  expect(client.messages).toHaveLength(2);
});

test('an id in use is refused, and what nobody waits for is ignored', async () => {
  const client = await connect(await started());
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow', arguments: { seconds: 60 } } };

  await client.post({ jsonrpc: '2.0', id: 99, result: {} });
  await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: {} } });
  await client.post(call);
  await client.post(call);

  expect(await client.message(({ id }) => id === 1)).toMatchObject({ error: { code: -32600 } });
});

test.each([
  ['GET', '/', {}, 404],
  ['POST', '/sse', {}, 405],
  ['GET', '/messages?sessionId=x', {}, 405],
  ['POST', '/messages', {}, 404],
  ['POST', '/messages?sessionId=x', {}, 404],
  ['GET', '/sse', { origin: 'http://evil.example' }, 403],
])('%s %s with %j gets %i', async (method, path, headers, status) => {
  const { url } = await started();

  const response = await fetch(new URL(path, url), { method, headers });

  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ jsonrpc: '2.0', error: {} });
});

test('only JSON is taken, and not too much of it', async () => {
  const client = await connect(await started());

  expect((await client.post('{}', { 'content-type': 'text/plain' })).status).toBe(415);
  expect((await client.post('{}', { 'content-type': 'Application/JSON ; charset=utf-8' })).status).toBe(400);

  const status = await new Promise((resolve, reject) => {
    const large = request(client.endpoint, { method: 'POST', headers: { 'content-type': 'application/json' } });
    large.on('response', (response) => resolve(response.statusCode)).on('error', reject);
    large.write(Buffer.alloc(4 * 1024 * 1024 + 1));
  });
  expect(status).toBe(413);
});

test('a session ends with its stream', async () => {
  const server = await started();
  const client = await connect(server);
  await client.post({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } });

  await client.leave();

  // The server learns of it by and by; each round trip gives it the time to.
  let status = 202;
  while (status === 202) ({ status } = await client.post({ jsonrpc: '2.0', method: 'x' }));
  expect(status).toBe(404);
});

test('an idle stream gets a comment every 15 seconds', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const client = await connect(await started());

  vi.advanceTimersByTime(15_000);

  expect(await client.comment()).toBe('keep-alive');
});

test('close ends the streams, once and for all', async () => {
  const server = await started();
  const client = await connect(server);

  await Promise.all([server.close(), server.close()]);

  await client.ended;
  await expect(fetch(server.url)).rejects.toThrow();
});

test('a port that is taken is an error', async () => {
  const { url } = await started();

  await expect(startLegacyServer({ host: '127.0.0.1', port: Number(url.port) })).rejects.toThrow('EADDRINUSE');
});
