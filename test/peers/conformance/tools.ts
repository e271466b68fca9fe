// The tools that the conformance suite calls by name: one for each thing a tool can do to its client. The waits in them are
// part of what the suite asks for, or make a call long enough that something has to keep its stream.
import { setTimeout as pass } from 'node:timers/promises';
import { z } from 'zod';
import { validParams } from './refusal.ts';
import { png, wav } from './samples.ts';

export interface AskOptions {
  /** The question is withdrawn after this. */
  readonly timeout?: number;
  readonly onprogress?: (progress: unknown) => void;
}

/** The client that called, as far as a tool deals with it while the call runs. */
export interface Caller {
  /** Aborted when the client cancels the call, with its reason. */
  readonly signal: AbortSignal;
  can(capability: 'sampling' | 'elicitation' | 'roots'): boolean;
  log(message: string): Promise<void>;
  /** Nothing for a client that gave no progress token. */
  progress(done: number, total: number): Promise<void>;
  /** A request to the client. The result is as it came. */
  ask(method: string, params: object, options?: AskOptions): Promise<unknown>;
  /** A notification to every client that is connected. */
  announce(method: string, params: object): Promise<void>;
  /** Ends the event stream of the call before its answer, where the transport can do that. */
  letGo(): void;
}

export interface ToolResult {
  readonly content: readonly object[];
  readonly isError?: true;
}

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: object;
  readonly call: (caller: Caller, args: unknown) => ToolResult | Promise<ToolResult>;
}

const stepMs = 50;
/** Longer than a gateway may wait before it makes an event stream of the reply, shorter than the suite listens. */
const absenceMs = 500;

export const noArguments = { type: 'object', properties: {}, additionalProperties: false } as const;

export const tools: readonly Tool[] = [
  {
    name: 'test_simple_text',
    description: 'Answers with text.',
    inputSchema: noArguments,
    call: () => text('Some text.'),
  },
  {
    name: 'test_image_content',
    description: 'Answers with an image.',
    inputSchema: noArguments,
    call: () => ({ content: [{ type: 'image', ...png }] }),
  },
  {
    name: 'test_audio_content',
    description: 'Answers with a sound.',
    inputSchema: noArguments,
    call: () => ({ content: [{ type: 'audio', ...wav }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'Answers with a resource.',
    inputSchema: noArguments,
    call: () => ({ content: [embedded('test://embedded-resource', 'text/plain', 'An embedded resource.')] }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'Answers with text, an image and a resource.',
    inputSchema: noArguments,
    call: () => ({
      content: [
        { type: 'text', text: 'Three kinds of content.' },
        { type: 'image', ...png },
        embedded('test://mixed-content-resource', 'application/json', '{"kind":3}'),
      ],
    }),
  },
  {
    name: 'test_error_handling',
    description: 'Fails.',
    inputSchema: noArguments,
    call: () => failure('This tool always fails.'),
  },
  {
    name: 'test_tool_with_logging',
    description: 'Logs before, during and after its work.',
    inputSchema: noArguments,
    async call(caller) {
      await caller.log('about to begin');
      await pass(stepMs);
      await caller.log('half way');
      await pass(stepMs);
      await caller.log('done');
      return text('Logged three messages.');
    },
  },
  {
    name: 'test_tool_with_progress',
    description: 'Reports progress at none, half and all of its work.',
    inputSchema: noArguments,
    async call(caller) {
      await caller.progress(0, 100);
      await pass(stepMs);
      await caller.progress(50, 100);
      await pass(stepMs);
      await caller.progress(100, 100);
      return text('Reported progress three times.');
    },
  },
  {
    name: 'test_sampling',
    description: "Asks the client's language model.",
    inputSchema: objectSchema({ prompt: { type: 'string', description: 'What to ask' } }),
    async call(caller, args) {
      const { prompt } = validParams(z.object({ prompt: z.string() }), args);
      if (!caller.can('sampling')) return failure('This client has no language model to ask.');
      const messages = [{ role: 'user', content: { type: 'text', text: prompt } }];
      const said = await caller.ask('sampling/createMessage', { messages, maxTokens: 100 });
      return text(`The model said: ${JSON.stringify(said)}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Asks the user for a name and an address.',
    inputSchema: objectSchema({ message: { type: 'string', description: 'How to ask' } }),
    call(caller, args) {
      const { message } = validParams(z.object({ message: z.string() }), args);
      const username = { type: 'string', description: 'What to call you' };
      const email = { type: 'string', description: 'Where to write to you' };
      return askUser(caller, message, objectSchema({ username, email }));
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks the user for one value of each primitive type, each with a default.',
    inputSchema: noArguments,
    call: (caller) =>
      askUser(caller, 'Is this you?', {
        type: 'object',
        properties: {
          name: { type: 'string', default: 'John Doe' },
          age: { type: 'integer', default: 30 },
          score: { type: 'number', default: 95.5 },
          status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
          verified: { type: 'boolean', default: true },
        },
      }),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks the user for a choice in each way a choice can be described.',
    inputSchema: noArguments,
    call: (caller) =>
      askUser(caller, 'Choose.', {
        type: 'object',
        properties: {
          untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
          titledSingle: { type: 'string', oneOf: titled('value', 3) },
          legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
          untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
          titledMulti: { type: 'array', items: { anyOf: titled('value', 3) } },
        },
      }),
  },
  {
    name: 'test_reconnection',
    description: 'Ends the event stream it was called on, where it can, and answers half a second later.',
    inputSchema: noArguments,
    async call(caller) {
      caller.letGo();
      await pass(absenceMs);
      return text('Still here.');
    },
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Has an input schema with keywords that are easily lost on the way. Answers with its arguments.',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'address',
          type: 'object',
          properties: { city: { type: 'string' } },
          required: ['city'],
        },
      },
      properties: {
        by: { enum: ['post', 'courier'] },
        to: { $ref: '#address' },
        phone: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['to'] }, { required: ['phone'] }] }],
      if: { properties: { by: { const: 'courier' } }, required: ['by'] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['to'] },
      additionalProperties: false,
    },
    call: (_caller, args) => text(JSON.stringify(args)),
  },
];

export async function askUser(caller: Caller, message: string, requestedSchema: object): Promise<ToolResult> {
  if (!caller.can('elicitation')) return failure('This client has no user to ask.');
  const answer = await caller.ask('elicitation/create', { message, requestedSchema });
  return text(`The user answered: ${JSON.stringify(answer)}`);
}

export function objectSchema(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', properties, required: Object.keys(properties) };
}

function titled(prefix: string, count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({
    const: `${prefix}${index + 1}`,
    title: `Number ${index + 1}`,
  }));
}

function embedded(uri: string, mimeType: string, content: string): object {
  return { type: 'resource', resource: { uri, mimeType, text: content } };
}

export function text(content: string): ToolResult {
  return { content: [{ type: 'text', text: content }] };
}

export function failure(reason: string): ToolResult {
  return { ...text(reason), isError: true };
}
