// What the conformance server answers to each method, whichever transport brought it. The SDK has done `initialize` and `ping`
// by itself before it comes here.
import { z } from 'zod';
import { changingTools, passingTools } from './changing-lists.ts';
import { modernTools } from './modern-tools.ts';
import { complete, getPrompt, listPrompts } from './prompts.ts';
import { invalidParams, methodNotFound, refusal, validParams } from './refusal.ts';
import { listResourceTemplates, listResources, readResource, subscribe } from './resources.ts';
import { sessionTools } from './session-tools.ts';
import { tools as suiteTools, type AskOptions, type Caller, type Tool } from './tools.ts';

export const capabilities = {
  completions: {},
  logging: {},
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
} as const;

/** The other end of the connection, for as long as one request of it runs. */
export interface Connection {
  readonly clientCapabilities: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  notify(method: string, params: object): Promise<void>;
  ask(method: string, params: object, options?: AskOptions): Promise<unknown>;
  /** To all connections. */
  announce(method: string, params: object): Promise<void>;
  letGo(): void;
}

type Method = (params: unknown, connection: Connection) => object | Promise<object>;

const lastingTools = [...suiteTools, ...modernTools, ...changingTools, ...sessionTools];

const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;

const levelParams = z.object({ level: z.enum(logLevels) });
const completionParams = z.object({ argument: z.object({ value: z.string() }) });
const metaParams = z.object({ progressToken: z.union([z.string(), z.number()]).optional() }).default({});
const promptParams = z.object({
  name: z.string(),
  arguments: z.record(z.string(), z.string()).default({}),
  _meta: metaParams,
});
const uriParams = z.object({ uri: z.string() });
const toolParams = z.object({
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()).default({}),
  _meta: metaParams,
});

type Level = z.infer<typeof levelParams>['level'];
type Meta = z.infer<typeof metaParams>;

/** The methods of one connection: the level of its log is the only thing they remember. */
export function answering(): (method: string, params: unknown, connection: Connection) => Promise<object> {
  let logLevel: Level = 'debug';
  const callerFor = (connection: Connection, { progressToken }: Meta): Caller =>
    callerOver(connection, progressToken, () => logLevel);

  const methods: Readonly<Record<string, Method>> = {
    'logging/setLevel': withParams(levelParams, ({ level }) => {
      logLevel = level;
      return {};
    }),
    'completion/complete': withParams(completionParams, ({ argument }) => complete(argument.value)),
    'prompts/list': listPrompts,
    'prompts/get': withParams(promptParams, ({ name, arguments: args, _meta }, connection) =>
      getPrompt(callerFor(connection, _meta), name, args),
    ),
    'resources/list': listResources,
    'resources/templates/list': listResourceTemplates,
    'resources/read': withParams(uriParams, ({ uri }) => readResource(uri)),
    'resources/subscribe': withParams(uriParams, ({ uri }) => subscribe(uri)),
    'resources/unsubscribe': withParams(uriParams, () => ({})),
    'tools/list': () => ({
      tools: tools().map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
    }),
    'tools/call': withParams(toolParams, (params, connection) => {
      const tool = tools().find(({ name }) => name === params.name);
      if (tool === undefined) throw refusal(invalidParams, `There is no tool ${params.name}.`);
      return tool.call(callerFor(connection, params._meta), params.arguments);
    }),
  };

  return async (method, params, connection) => {
    const answer = methods[method];
    if (answer === undefined) throw refusal(methodNotFound, `There is no method ${method}.`);
    return answer(params, connection);
  };
}

function tools(): readonly Tool[] {
  return [...lastingTools, ...passingTools()];
}

function callerOver(connection: Connection, progressToken: string | number | undefined, level: () => Level): Caller {
  return {
    signal: connection.signal,
    can: (capability) => connection.clientCapabilities[capability] !== undefined,
    async log(message) {
      if (logLevels.indexOf('info') < logLevels.indexOf(level())) return;
      await connection.notify('notifications/message', { level: 'info', data: message });
    },
    async progress(done, total) {
      if (progressToken === undefined) return;
      await connection.notify('notifications/progress', { progressToken, progress: done, total });
    },
    ask: (method, params, options) => connection.ask(method, params, options),
    announce: (method, params) => connection.announce(method, params),
    letGo: () => connection.letGo(),
  };
}

function withParams<S extends z.ZodType>(
  schema: S,
  answer: (params: z.infer<S>, connection: Connection) => object | Promise<object>,
): Method {
  return (params, connection) => answer(validParams(schema, params), connection);
}
