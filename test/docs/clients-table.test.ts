// The table of the README that says what works for which client: each cell is tried, and is what it says.

import { expect, test } from 'vitest';
import { openEvents } from '../support/event-client.ts';
import { type Gateway, eventsOf, gatewayBefore } from '../support/gateway.ts';
import { type Answerer, type Behaviour, type RpcMessage, text } from '../support/legacy-behaviour.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { MODERN, modernMessage, openModern } from '../support/modern-client.ts';
import { openOldClient } from '../support/old-client.ts';
import { ASKABLE, IN } from '../support/session-client.ts';
import { TABLES } from './pages.ts';

/** One client, of whatever era. Refused requests have no answer. */
interface Client {
  /** What came for this request, its answer the last. Questions on the way are answered. */
  request(method: string, params?: object): Promise<readonly RpcMessage[]>;
  notify(method: string, params?: object): Promise<void>;
  /** How many of these requests are answered when they are sent as one. */
  batch(messages: readonly RpcMessage[]): Promise<number>;
  /** What the server says without being asked, once this part of it has come; null if nobody can listen. */
  hears(say: () => void, part: string): Promise<string | null>;
  /** Whether a call whose stream breaks after its first event is answered on another. */
  resumes(call: RpcMessage, finish: () => Promise<void>): Promise<boolean>;
}

interface World {
  readonly gateway: Gateway;
  readonly upstream: LegacyServer;
  readonly client: Client;
  /** One more of the same kind. */
  readonly another: () => Promise<Client>;
}

const CALL_ID = 7;
const rpc = (method: string, params: object = {}, id = CALL_ID): RpcMessage => {
  return { jsonrpc: '2.0', id, method, params } as RpcMessage;
};

async function inSession(gateway: Gateway, revision: string): Promise<Client> {
  const session = await gateway.openSession({ ...ASKABLE, protocolVersion: revision });
  const version: Record<string, string> = revision === '2025-03-26' ? {} : { 'mcp-protocol-version': revision };
  const headers = { ...IN(session), ...version };
  const post = (message: unknown) => gateway.post(message, headers);
  return {
    async request(method, params) {
      const reply = await openEvents(gateway, { sessionId: session, headers: version, body: rpc(method, params) });
      if (reply.headers['content-type'] !== 'text/event-stream') return [JSON.parse(await reply.body()) as RpcMessage];
      const messages: RpcMessage[] = [];
      while (messages.at(-1)?.id !== CALL_ID || messages.at(-1)?.method !== undefined) {
        const { json } = await reply.next();
        if (json === undefined) continue;
        messages.push(json as RpcMessage);
        if (isQuestion(json)) await post(answerTo(json));
      }
      return messages;
    },
    async notify(method, params) {
      await post({ jsonrpc: '2.0', method, params });
    },
    batch: async (messages) => answered(await post(messages)),
    async hears(say, part) {
      const listening = await openEvents(gateway, { sessionId: session, headers: version });
      say();
      await listening.untilText(part);
      return listening.text;
    },
    async resumes(call, finish) {
      const broken = await openEvents(gateway, { sessionId: session, headers: version, body: call });
      const { id } = await broken.next();
      if (id === undefined) return false;
      broken.cut();
      await finish();
      const again = await openEvents(gateway, { sessionId: session, headers: version, lastEventId: id });
      await again.until(({ json }) => json?.id === call.id);
      return true;
    },
  };
}

/** Requests of the 2025 revisions, alone. */
function alone(gateway: Gateway): Client {
  const post = (message: unknown) => gateway.post(message);
  return {
    async request(method, params) {
      const { events, json, status } = await post(rpc(method, params));
      if (status !== 200) return [];
      return events.length > 0 ? events.map((event) => JSON.parse(event) as RpcMessage) : [json as RpcMessage];
    },
    async notify(method, params) {
      await post({ jsonrpc: '2.0', method, params });
    },
    batch: async (messages) => answered(await post(messages)),
    async hears() {
      const reply = await gateway.send('GET', '/mcp', { accept: 'text/event-stream' });
      expect(reply.status).toBe(405);
      return null;
    },
    async resumes(call, finish) {
      const reply = post(call);
      await Promise.race([finish(), reply]);
      const { text: body } = await reply;
      return /^id:/m.test(body);
    },
  };
}

/** Requests of 2026-07-28: questions are asked by results, cancelling is leaving, hearing is a request of its own. */
function modern(gateway: Gateway): Client {
  const options = { id: CALL_ID, capabilities: ASKABLE.capabilities, logLevel: 'debug' };
  let leave = (): void => {};
  const send = async (method: string, params: object): Promise<readonly RpcMessage[]> => {
    const { _meta: meta = {}, ...rest } = params as { _meta?: object };
    const { body, headers } = modernMessage(method, rest, { ...options, meta });
    const aborting = new AbortController();
    leave = () => aborting.abort();
    const reply = await fetch(gateway.endpoint, { method: 'POST', headers, body, signal: aborting.signal });
    const said = await reply.text();
    if (reply.status !== 200) return [];
    if (reply.headers.get('content-type') !== 'text/event-stream') return [JSON.parse(said) as RpcMessage];
    return eventsOf(said).map((event) => JSON.parse(event) as RpcMessage);
  };
  return {
    async request(method, params = {}) {
      const messages = [...(await send(method, params))];
      for (;;) {
        const asked = messages.at(-1)?.result as { inputRequests?: object; requestState?: string } | undefined;
        if (asked?.inputRequests === undefined) return messages;
        const { requestState } = asked;
        const inputResponses = Object.fromEntries(
          Object.entries(asked.inputRequests).map(([key, question]) => [key, inputFor(question as RpcMessage)]),
        );
        // oxlint-disable-next-line no-await-in-loop -- each round follows from the one before
        messages.push(...(await send(method, { ...params, requestState, inputResponses })));
      }
    },
    async notify(method) {
      if (method === 'notifications/cancelled') leave();
    },
    batch: async (messages) => answered(await gateway.post(messages, { 'mcp-protocol-version': MODERN })),
    async hears(say, part) {
      const wish = { toolsListChanged: true, resourceSubscriptions: ['test://a'] };
      const listening = await openModern(gateway, 'subscriptions/listen', { notifications: wish }, options);
      await listening.until('acknowledged');
      say();
      await listening.until('list_changed');
      return listening.until(part);
    },
    async resumes(call, finish) {
      const { body, headers } = modernMessage(String(call.method), { ...call.params, _meta: undefined }, options);
      const reply = gateway.send('POST', '/mcp', headers, body);
      await finish();
      return /^id:/m.test((await reply).text);
    },
  };
}

function inputFor({ method }: RpcMessage): object {
  if (method === 'roots/list') return { roots: [] };
  if (method === 'elicitation/create') return { action: 'accept', content: {} };
  return { role: 'assistant', content: { type: 'text', text: 'hi' }, model: 'm' };
}

async function old(gateway: Gateway): Promise<Client> {
  const client = await openOldClient(gateway.origin);
  const said = (): RpcMessage[] =>
    Array.from(
      client.bytes.toString().matchAll(/^data: ?(\{.*\})$/gm),
      ([, json = '']) => JSON.parse(json) as RpcMessage,
    );
  let seen = 0;
  const next = async (): Promise<RpcMessage> => {
    // The first that is not there yet: one more line of data.
    for (;;) {
      const message = said()[seen];
      if (message !== undefined) {
        seen++;
        return message;
      }
      await client.untilBytes(client.bytes.length + 1);
    }
  };
  const self: Client = {
    async request(method, params) {
      await client.post(rpc(method, params));
      const messages: RpcMessage[] = [];
      while (messages.at(-1)?.id !== CALL_ID || messages.at(-1)?.method !== undefined) {
        const message = await next();
        messages.push(message);
        if (isQuestion(message)) await client.post(answerTo(message));
      }
      return messages;
    },
    async notify(method, params) {
      await client.post({ jsonrpc: '2.0', method, params });
    },
    async batch(messages) {
      const { status } = await client.post(messages);
      expect(status).toBe(202);
      for (let count = 0; count < messages.length; count++) await next();
      return messages.length;
    },
    async hears(say, part) {
      say();
      await client.until(part);
      return client.bytes.toString();
    },
    async resumes(call, finish) {
      await client.post(call);
      await next();
      await finish();
      await next();
      return /^id:/m.test(client.bytes.toString());
    },
  };
  await self.request('initialize', { ...ASKABLE, clientInfo: { name: 'old', version: '1' } });
  await self.notify('notifications/initialized');
  return self;
}

const CLIENTS: Readonly<Record<string, (gateway: Gateway) => Promise<Client>>> = {
  '2025-11-25': (gateway) => inSession(gateway, '2025-11-25'),
  '2025-06-18': (gateway) => inSession(gateway, '2025-06-18'),
  '2025-03-26': (gateway) => inSession(gateway, '2025-03-26'),
  'no session': async (gateway) => alone(gateway),
  'old HTTP+SSE': old,
  [MODERN]: async (gateway) => modern(gateway),
};

const FEATURES: Readonly<Record<string, (world: World) => Promise<boolean>>> = {
  async 'lists, calls, reads, prompts'({ client }) {
    const answers: boolean[] = [];
    for (const [method, params] of [
      ['tools/list', {}],
      ['tools/call', { name: 'add', arguments: { a: 1, b: 1 } }],
      ['resources/read', { uri: 'test://a' }],
      ['prompts/get', { name: 'a' }],
    ] as const) {
      answers.push(hasResult(await client.request(method, params)));
    }
    return agreed(answers);
  },
  async 'progress of a call'({ client }) {
    const messages = await client.request('tools/call', { name: 'steps', _meta: { progressToken: 'mine' } });
    return messages.some(
      ({ method, params }) => method === 'notifications/progress' && params?.['progressToken'] === 'mine',
    );
  },
  async 'cancelling a call'({ gateway, upstream, client }) {
    const request = client.request('tools/call', { name: 'slow' });
    request.catch(() => {});
    const call = await Promise.race([upstream.nextCall('slow'), request]);
    if (!('cancelled' in call)) return false;
    const isHeard = call.cancelled.then(() => true);
    const isDropped = gateway.journal
      .until((fact) => fact.fact === 'dropped' && fact.what === 'sessionless_notification')
      .then(() => false);
    await client.notify('notifications/cancelled', { requestId: CALL_ID });
    return Promise.race([isHeard, isDropped]);
  },
  async batches({ client }) {
    return (await client.batch([rpc('tools/list', {}, 1), rpc('tools/list', {}, 2)])) === 2;
  },
  'sampling and roots, asked by the server': (world) =>
    isAsked(world, [
      { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } },
      { method: 'roots/list' },
    ]),
  'elicitation by form': (world) =>
    isAsked(world, [
      { method: 'elicitation/create', params: { message: '?', requestedSchema: { type: 'object', properties: {} } } },
    ]),
  'elicitation by URL': (world) =>
    isAsked(world, [
      {
        method: 'elicitation/create',
        params: { mode: 'url', message: '?', url: 'https://example.com/', elicitationId: 'e1' },
      },
    ]),
  async 'log messages'({ client }) {
    const messages = await client.request('tools/call', { name: 'talks' });
    return messages.some(({ method }) => method === 'notifications/message');
  },
  async 'list changes and resource updates'({ upstream, client }) {
    const call = upstream.nextCall('add');
    const isServed = hasResult(await client.request('tools/call', { name: 'add' }));
    if (isServed) await client.request('resources/subscribe', { uri: 'test://a' });
    const say = async (): Promise<void> => {
      const { stream } = await call;
      upstream.behaviour.tools = { ...upstream.behaviour.tools, another: () => text('new') };
      upstream.sendTo(stream, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
      upstream.sendTo(stream, {
        jsonrpc: '2.0',
        method: 'notifications/resources/updated',
        params: { uri: 'test://a' },
      });
    };
    const heard = await client.hears(() => void say().catch(() => {}), 'notifications/resources/updated');
    return heard?.includes('notifications/tools/list_changed') === true;
  },
  'a stream that broke is resumed': ({ upstream, client }) =>
    client.resumes(rpc('tools/call', { name: 'held', _meta: { progressToken: 'mine' } }), async () => {
      (await upstream.nextCall('held')).release();
    }),
  async 'a session of its own on the server'({ client, another }) {
    const counts: string[] = [];
    for (const each of [client, await another()])
      counts.push(textOf(await each.request('tools/call', { name: 'count' })));
    return counts.join() === '1,1';
  },
  async 'goes on after the server’s connection broke'({ upstream, client }) {
    if (!hasResult(await client.request('tools/list'))) return false;
    upstream.cutStreams();
    return client.request('tools/list').then(hasResult, () => false);
  },
};

const steps: Answerer = (call) => {
  call.progress(1, 2);
  return text('done');
};
const BEHAVIOUR: Partial<Behaviour> = {
  capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true }, prompts: {} },
  methods: {
    'resources/read': () => ({ contents: [] }),
    'resources/subscribe': () => ({}),
    'prompts/get': () => ({ messages: [] }),
  },
  tools: {
    steps,
    async held(call) {
      call.progress(1, 2);
      await call.released;
      return text('done');
    },
    talks(call) {
      call.notify('notifications/message', { level: 'error', data: 'said' });
      return text('done');
    },
  },
};

const [TABLE] = TABLES.filter(({ page, head }) => page === 'README.md' && head.includes('no session'));
const KINDS = TABLE?.head.slice(1) ?? [];
const ROWS = TABLE?.rows ?? [];

test('the table is about these clients and these features, and each has a yes', () => {
  expect(KINDS).toEqual(Object.keys(CLIENTS));
  expect(ROWS.map(([feature]) => feature)).toEqual(Object.keys(FEATURES));
  for (const [, ...cells] of ROWS) {
    expect(cells).toContain('yes');
    for (const cell of cells) expect(['yes', '–']).toContain(cell);
  }
});

test.each(ROWS.map(([feature = '', ...cells]) => [feature, cells] as const))('%s', async (feature, cells) => {
  const tried = await Promise.all(
    KINDS.map(async (kind) => {
      const { gateway, upstream } = await gatewayBefore(BEHAVIOUR, { links: { min: 0 } });
      const another = (): Promise<Client> => CLIENTS[kind]?.(gateway) ?? Promise.reject(new Error(kind));
      const works = await FEATURES[feature]?.({ gateway, upstream, client: await another(), another });
      return [kind, works === true ? 'yes' : '–'] as const;
    }),
  );

  expect(tried).toEqual(KINDS.map((kind, index) => [kind, cells[index]]));
});

async function isAsked({ client }: World, questions: readonly object[]): Promise<boolean> {
  const answer = (await client.request('tools/call', { name: 'ask', arguments: { questions } })).at(-1);
  const result = answer?.result as { structuredContent: { replies: RpcMessage[] } } | undefined;
  if (result === undefined) return false;
  return agreed(result.structuredContent.replies.map((reply) => reply.result !== undefined));
}

/** All or none: what is one row is one thing. */
function agreed(each: readonly boolean[]): boolean {
  expect(new Set(each).size).toBe(1);
  return each[0] === true;
}

function isQuestion({ id, method }: RpcMessage): boolean {
  return id !== undefined && method !== undefined;
}

function answerTo({ id }: RpcMessage): object {
  return { jsonrpc: '2.0', id, result: { action: 'accept', content: {}, roots: [] } };
}

function hasResult(messages: readonly RpcMessage[]): boolean {
  return messages.at(-1)?.result !== undefined;
}

function textOf(messages: readonly RpcMessage[]): string {
  const result = messages.at(-1)?.result as { content: { text: string }[] } | undefined;
  return result?.content[0]?.text ?? '';
}

function answered({ status, json, events }: Awaited<ReturnType<Gateway['post']>>): number {
  if (status !== 200) return 0;
  const messages: unknown[] = events.length > 0 ? events.map((event): unknown => JSON.parse(event)) : [json];
  return messages.flat().filter((message) => (message as RpcMessage).result !== undefined).length;
}
