// A server of the old transport, in the process of the test, that does on demand what 2026-07-28 has another form for.
import type { Answerer, Behaviour, LegacyCall, RpcMessage } from '../../../support/legacy-behaviour.ts';
import { RpcError, text } from '../../../support/legacy-behaviour.ts';

/** What the model of a client is asked. */
const sampling = {
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: 'Are you there?' } }], maxTokens: 100 },
};

/** What the user of a client is asked: a form of one field. */
export function form(field: string): { readonly method: string; readonly params: object } {
  const requestedSchema = { type: 'object', properties: { [field]: { type: 'string' } }, required: [field] };
  return { method: 'elicitation/create', params: { message: `your ${field}?`, requestedSchema } };
}

/** Asks one after the other what the arguments name, and tells of the answers. */
function asking(...questions: readonly { readonly method: string; readonly params?: object }[]): Answerer {
  return async (call) => {
    const answers: unknown[] = [];
    for (const { method, params } of questions) answers.push(answerIn(await call.ask(method, params)));
    return { ...text('asked'), structuredContent: { answers } };
  };
}

/** As a server's SDK does it: a question that is refused ends the call. */
function answerIn({ result, error }: RpcMessage): unknown {
  if (error !== undefined) throw new RpcError(error.code, error.message, error.data);
  return result;
}

const tools: Readonly<Record<string, Answerer>> = {
  asksName: asking(form('name')),
  asksTwice: asking(form('name'), form('town')),
  asksModel: asking(sampling),
  asksRoots: asking({ method: 'roots/list' }),
  asksThree: async (call) => {
    const questions = [form('name'), sampling, { method: 'roots/list', params: {} }];
    const replies = await Promise.all(questions.map(({ method, params }) => call.ask(method, params)));
    return { ...text('asked'), structuredContent: { answers: replies.map(answerIn) } };
  },
  works: (call) => {
    for (const done of [1, 2, 3]) call.progress(done, 3);
    return text('worked');
  },
  logs: (call) => {
    for (const level of ['debug', 'info', 'warning', 'error']) {
      if (isWanted(call, level)) call.notify('notifications/message', { level, data: `at ${level}` });
    }
    return text('logged');
  },
};

const severities = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];
const levels = new WeakMap<object, string>();

function isWanted({ stream }: LegacyCall, level: string): boolean {
  return severities.indexOf(level) >= severities.indexOf(levels.get(stream) ?? 'debug');
}

const methods: Readonly<Record<string, Answerer>> = {
  'logging/setLevel': ({ stream, message }) => {
    levels.set(stream, String(message.params?.['level']));
    return {};
  },
  'prompts/list': () => ({ prompts: [{ name: 'letter' }] }),
  'prompts/get': async (call) => {
    const { result } = await call.ask('elicitation/create', form('name').params);
    return { messages: [{ role: 'user', content: { type: 'text', text: `A letter to ${JSON.stringify(result)}` } }] };
  },
  'resources/list': () => ({ resources: [{ uri: 'test://one', name: 'one' }] }),
  'resources/templates/list': () => ({ resourceTemplates: [{ uriTemplate: 'test://{id}', name: 'by id' }] }),
  'resources/read': ({ message }) => ({ contents: [{ uri: message.params?.['uri'], text: 'read' }] }),
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
};

export function scripted(protocolVersion: string): Partial<Behaviour> {
  return {
    protocolVersion,
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
    },
    methods,
    tools,
  };
}
