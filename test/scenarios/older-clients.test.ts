// What a client is spared because its revision does not know it, and that everything else crosses as it is. Who speaks
// which revision is in versions.test.ts.

import { describe, expect, test } from 'vitest';
import { type Gateway, gatewayBefore } from '../support/gateway.ts';
import type { Behaviour } from '../support/legacy-behaviour.ts';

const IN = (session: string): Record<string, string> => ({ 'mcp-session-id': session });
const SPEAKING = (version: string): Record<string, string> => ({ 'mcp-protocol-version': version });
const JSON_ONLY = { accept: 'application/json' };

type Caller = readonly [who: string, headersOf: (gateway: Gateway) => Promise<Record<string, string>>];

const inSession = (protocolVersion: string): Caller => [
  `a session of ${protocolVersion}`,
  async (gateway) => IN(await gateway.openSession({ protocolVersion })),
];
const alone = (version: string): Caller => [`a request without a session of ${version}`, async () => SPEAKING(version)];

const SILENT: Caller = ['a request that says no version', async () => ({})];
const BEFORE_LINKS: readonly Caller[] = [inSession('2025-03-26'), alone('2025-03-26'), SILENT];
const SINCE_LINKS: readonly Caller[] = ['2025-06-18', '2025-11-25'].flatMap((revision) => [
  inSession(revision),
  alone(revision),
]);
const BEFORE_URLS: readonly Caller[] = [...BEFORE_LINKS, inSession('2025-06-18'), alone('2025-06-18')];
const SINCE_URLS: readonly Caller[] = [inSession('2025-11-25'), alone('2025-11-25')];
const EVERYBODY: readonly Caller[] = [...BEFORE_URLS, ...SINCE_URLS];

const LINK =
  '{"type":"resource_link","uri":"file:///a.rs","name":"a.rs","title":"Source","mimeType":"text/x-rust","description":"The m\\u0061in file","annotations":{"priority":1.0,"audience":["user"]},"size":9007199254740993,"_meta":{"k":1e2}}';
const LINK_AS_TEXT =
  '{"type":"text","text":"Resource: Source (a.rs) <file:///a.rs> text/x-rust\\nThe main file","annotations":{"priority":1.0,"audience":["user"]},"_meta":{"k":1e2}}';
const OTHERS =
  '{"type":"text","text":"\\u00e9 resource_link"} , {"type":"audio","data":"AA==","mimeType":"audio/wav","x":1.0},{"type":"resource","resource":{"uri":"a:b","text":"","type":"resource_link"}}';

const toolResult = (block: string): string =>
  `{"content":[${OTHERS},${block}, ${block}],"structuredContent":{"type":"resource_link","n":1.0},"isError":false,"_meta":{"a/b":null}}`;
const promptResult = (block: string): string =>
  `{"description":"\\u0064","messages":[{"role":"user","content":${block}},{"role":"assistant","content":{"type":"text","text":"x"}}]}`;

const LINKS: Partial<Behaviour> = {
  tools: { links: () => Buffer.from(toolResult(LINK)) },
  methods: {
    'prompts/get': () => Buffer.from(promptResult(LINK)),
    'resources/read': () => Buffer.from(`{"contents":[${LINK}],"content":[${LINK}]}`),
  },
};

const answered = (result: string): string => `{"jsonrpc":"2.0","id":"mine","result":${result}}`;
const prompt = { jsonrpc: '2.0', id: 'mine', method: 'prompts/get', params: { name: 'p' } };
const read = { jsonrpc: '2.0', id: 'mine', method: 'resources/read', params: { uri: 'a:b' } };

describe('a link to a resource, which came with 2025-06-18', () => {
  test.each(BEFORE_LINKS)('becomes a text for %s, and nothing else changes', async (_who, headersOf) => {
    const { gateway } = await gatewayBefore(LINKS);
    const headers = await headersOf(gateway);

    const tool = await gateway.call('links', {}, 'mine', headers);
    const prompted = await gateway.post(prompt, headers);

    expect(tool.text).toBe(answered(toolResult(LINK_AS_TEXT)));
    expect(prompted.text).toBe(answered(promptResult(LINK_AS_TEXT)));
  });

  test.each(SINCE_LINKS)('stays what it is for %s, byte for byte [C6]', async (_who, headersOf) => {
    const { gateway } = await gatewayBefore(LINKS);
    const headers = await headersOf(gateway);

    const tool = await gateway.call('links', {}, 'mine', headers);
    const prompted = await gateway.post(prompt, headers);

    expect(tool.text).toBe(answered(toolResult(LINK)));
    expect(prompted.text).toBe(answered(promptResult(LINK)));
  });

  test.each(BEFORE_LINKS)('means nothing in other results: those cross as they are to %s', async (_who, headersOf) => {
    const { gateway } = await gatewayBefore(LINKS);

    const answer = await gateway.post(read, await headersOf(gateway));

    expect(answer.text).toBe(answered(`{"contents":[${LINK}],"content":[${LINK}]}`));
  });

  test('becomes a text on a stream and in a batch, too', async () => {
    const { gateway } = await gatewayBefore(LINKS);
    const [one, other] = ['1', '2'].map(
      (id) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"links"}}`,
    );

    const streamed = await gateway.call('links', {}, 'mine', { accept: 'text/event-stream' });
    const batch = await gateway.post(`[${one},${other}]`, JSON_ONLY);

    expect(streamed.events).toEqual([answered(toolResult(LINK_AS_TEXT))]);
    expect(batch.text.match(/"resource_link"/g)).toHaveLength(4);
    expect(batch.text.split(LINK_AS_TEXT)).toHaveLength(5);
  });

  test('goes by the revision that the session agreed on, not by the header [C3 C4]', async () => {
    const { gateway } = await gatewayBefore(LINKS);
    const [older, newer] = await Promise.all(
      ['2025-03-26', '2025-11-25'].map((protocolVersion) => gateway.openSession({ protocolVersion })),
    );

    const answers = [
      await gateway.call('links', {}, 'mine', { ...IN(older ?? ''), ...SPEAKING('2025-11-25') }),
      await gateway.call('links', {}, 'mine', { ...IN(newer ?? ''), ...SPEAKING('2025-03-26') }),
      await gateway.call('links', {}, 'mine', IN(newer ?? '')),
    ];

    expect(answers.map(({ text }) => text)).toEqual(
      [LINK_AS_TEXT, LINK, LINK].map((block) => answered(toolResult(block))),
    );
  });
});

describe('the error “open this URL first” (−32042), which came with 2025-11-25', () => {
  const error = (code: string): string =>
    `{"message":"pl\\u0065ase","data":{"elicitations":[{"mode":"url","elicitationId":"e-1","url":"https://a.b/?c=%20","message":"","n":1.0}],"x":9007199254740993}, "code" : ${code}}`;

  /** The answer to a tool that says exactly this. */
  async function refused(headersOf: Caller[1], said: string): Promise<string> {
    const { gateway, upstream } = await gatewayBefore();
    const answer = gateway.call('never', {}, 'mine', await headersOf(gateway));
    const { stream, message } = await upstream.nextCall('never');
    upstream.sendTo(stream, Buffer.from(`{"jsonrpc":"2.0","error":${said},"id":${String(message.id)}}`));
    expect((await answer).status).toBe(200);
    return (await answer).text;
  }

  test.each(SINCE_URLS)('crosses as it is to %s, with its elicitations [D5]', async (_who, headersOf) => {
    expect(await refused(headersOf, error('-32042'))).toBe(`{"jsonrpc":"2.0","error":${error('-32042')},"id":"mine"}`);
  });

  test.each(BEFORE_URLS)('becomes −32603 for %s, and all that it says stays', async (_who, headersOf) => {
    expect(await refused(headersOf, error('-32042'))).toBe(`{"jsonrpc":"2.0","error":${error('-32603')},"id":"mine"}`);
  });

  test.each(EVERYBODY)('is the only one that changes: −32002 and −32000 reach %s', async (_who, headersOf) => {
    expect(await refused(headersOf, error('-32002'))).toContain('"code" : -32002}');
    expect(await refused(headersOf, error('-32000'))).toContain('"code" : -32000}');
  });
});

describe('members that a revision does not know are tolerated, so they cross', () => {
  const TOOLS =
    '{"tools":[{"name":"t","title":"T","icons":[{"src":"data:,","sizes":["any"]}],"inputSchema":{"type":"object","$schema":"x"},"outputSchema":{"type":"object"},"annotations":{"title":"T","readOnlyHint":true},"execution":{"taskSupport":"optional"},"_meta":{"a":1.0}}],"nextCursor":"c\\u0031","_meta":{}}';
  const RESULT =
    '{"content":[{"type":"text","text":"","_meta":{"a":1}, "annotations":{"lastModified":"x"}}],"structuredContent":{"n":1.0,"big":9007199254740993,"__proto__":1},"title":"T","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}';

  test.each(EVERYBODY)('to %s, in lists and results [C6]', async (_who, headersOf) => {
    const { gateway } = await gatewayBefore({
      tools: { t: () => Buffer.from(RESULT) },
      methods: { 'tools/list': () => Buffer.from(TOOLS) },
    });
    const headers = await headersOf(gateway);

    const list = await gateway.post({ jsonrpc: '2.0', id: 'mine', method: 'tools/list' }, headers);
    const called = await gateway.call('t', {}, 'mine', headers);

    expect(list.text).toBe(answered(TOOLS));
    expect(called.text).toBe(answered(RESULT));
  });

  test.each(['2025-03-26', '2025-06-18', '2025-11-25'])(
    'in what the server says of itself to a session of %s [C6 D9]',
    async (revision) => {
      const info =
        '{"name":"s","title":"S","version":"1","description":"d\\u00e9","websiteUrl":"https:\\/\\/a.b","icons":[{"src":"data:,","mimeType":"image/png","sizes":["48x48"],"theme":"dark"}]}';
      const capabilities =
        '{"tools":{"listChanged":true},"experimental":{"x":{"n":1.0}},"completions":{},"logging":{}}';
      const said = `{"protocolVersion":"${revision}","capabilities":${capabilities},"serverInfo":${info},"instructions":"read \\"this\\"","_meta":{"a":1e2}}`;
      const { gateway } = await gatewayBefore({ methods: { initialize: () => Buffer.from(said) } });

      const opened = await gateway.post({
        jsonrpc: '2.0',
        id: 'mine',
        method: 'initialize',
        params: { protocolVersion: revision, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
      });

      expect(opened.text).toBe(answered(said));
    },
  );
});

describe('the upstream is told only what the client’s revision knows', () => {
  const ALL = {
    roots: { listChanged: true },
    sampling: { tools: {}, context: {}, x: 1 },
    elicitation: { form: {}, url: {} },
    experimental: { y: {} },
    tasks: { list: {} },
  };

  test.each([
    ['2025-03-26', { roots: { listChanged: true }, sampling: { x: 1 }, experimental: { y: {} } }],
    [
      '2025-06-18',
      { roots: { listChanged: true }, sampling: { x: 1 }, elicitation: { form: {} }, experimental: { y: {} } },
    ],
    [
      '2025-11-25',
      {
        roots: { listChanged: true },
        sampling: { tools: {}, context: {}, x: 1 },
        elicitation: { form: {}, url: {} },
        experimental: { y: {} },
      },
    ],
  ])('of a client of %s that declares everything [B23]', async (protocolVersion, declared) => {
    const { gateway, upstream } = await gatewayBefore();
    await upstream.nextRequest('initialize');

    await gateway.openSession({ protocolVersion, capabilities: ALL });

    const { message } = await upstream.nextRequest('initialize');
    expect(message.params).toMatchObject({ protocolVersion });
    expect(message.params?.['capabilities']).toEqual(declared);
  });

  test('and an elicitation for a client of 2025-03-26 is refused upstream, whatever the client declared [B23 C5]', async () => {
    const { gateway } = await gatewayBefore();
    const headers = IN(await gateway.openSession({ protocolVersion: '2025-03-26', capabilities: ALL }));

    const answer = await gateway.call('ask', {}, 1, headers);

    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json.result.structuredContent.replies).toMatchObject([{ error: { code: -32601 } }]);
  });
});
