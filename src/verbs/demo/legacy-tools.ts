// The tools of the demo's legacy server: one of each kind that a gateway has to carry. Pure but for the waiting in
// `slow`; the session behind a call sends and receives for it.

import { setTimeout as delay } from 'node:timers/promises';

/** What a tool may do while it runs. */
export interface ToolCall {
  readonly args: Readonly<Record<string, unknown>>;
  /** What the client declared at initialize. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** Aborts when the caller cancels or is gone; nobody reads the result then. */
  readonly signal: AbortSignal;
  /** Nothing if the caller gave no progress token. */
  readonly progress: (progress: number, total: number, message: string) => void;
  /** A request to the client. */
  readonly ask: (method: string, params: object) => Promise<Reply>;
}

export type Reply = { readonly result: Readonly<Record<string, unknown>> } | { readonly refusal: string };

export interface ToolResult {
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
  readonly isError?: true;
}

export interface Tool {
  readonly description: string;
  readonly inputSchema: object;
  readonly run: (call: ToolCall) => ToolResult | Promise<ToolResult>;
}

/** The arguments do not fit the tool's inputSchema. */
export class InvalidArguments extends Error {}

const MAX_SECONDS = 60;
const MAX_STEPS = 100;
const MAX_TOKENS = 200;

export const TOOLS: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  [
    'add',
    {
      description: 'Adds two numbers.',
      inputSchema: objectSchema({ a: { type: 'number' }, b: { type: 'number' } }, ['a', 'b']),
      run: ({ args }) => text(String(numberIn(args, 'a') + numberIn(args, 'b'))),
    },
  ],
  [
    'echo',
    {
      description: 'Says the text again.',
      inputSchema: objectSchema({ text: { type: 'string' } }, ['text']),
      run: ({ args }) => text(textIn(args, 'text')),
    },
  ],
  [
    'slow',
    {
      description: 'Takes its time and reports progress after each step. Can be cancelled.',
      inputSchema: objectSchema({
        seconds: { type: 'number', description: 'How long it takes', minimum: 0, maximum: MAX_SECONDS, default: 3 },
        steps: { type: 'integer', description: 'How often it reports', minimum: 1, maximum: MAX_STEPS, default: 3 },
      }),
      run: takeTime,
    },
  ],
  [
    'ask_user',
    {
      description: 'Asks the user a question through the client (elicitation) and returns the answer.',
      inputSchema: objectSchema({ question: { type: 'string', default: 'What is your name?' } }),
      run: askUser,
    },
  ],
  [
    'ask_model',
    {
      description: "Asks the client's language model (sampling) and returns what it said.",
      inputSchema: objectSchema({ prompt: { type: 'string', default: 'Say hello in one short sentence.' } }),
      run: askModel,
    },
  ],
]);

async function takeTime({ args, signal, progress }: ToolCall): Promise<ToolResult> {
  const seconds = numberIn(args, 'seconds', { min: 0, max: MAX_SECONDS, otherwise: 3 });
  const steps = numberIn(args, 'steps', { min: 1, max: MAX_STEPS, otherwise: 3 });
  if (!Number.isInteger(steps)) throw new InvalidArguments('steps must be an integer');
  for (let step = 1; step <= steps; step++) {
    await delay((seconds * 1000) / steps, undefined, { signal });
    progress(step, steps, `step ${step} of ${steps}`);
  }
  return text(`took ${seconds} s in ${steps} steps`);
}

async function askUser({ args, capabilities, ask }: ToolCall): Promise<ToolResult> {
  const message = textIn(args, 'question', 'What is your name?');
  if (!takesForms(capabilities['elicitation'])) return failure('the client did not declare elicitation');
  const reply = await ask('elicitation/create', {
    message,
    requestedSchema: {
      type: 'object',
      properties: { answer: { type: 'string', title: 'Answer' } },
      required: ['answer'],
    },
  });
  if ('refusal' in reply) return failure(reply.refusal);
  const { action, content } = reply.result;
  if (action !== 'accept') return text('The user did not answer.');
  return text(`The user answered: ${isRecord(content) ? asText(content['answer']) : ''}`);
}

async function askModel({ args, capabilities, ask }: ToolCall): Promise<ToolResult> {
  const prompt = textIn(args, 'prompt', 'Say hello in one short sentence.');
  if (!isRecord(capabilities['sampling'])) return failure('the client did not declare sampling');
  const reply = await ask('sampling/createMessage', {
    messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
    maxTokens: MAX_TOKENS,
  });
  if ('refusal' in reply) return failure(reply.refusal);
  const { content } = reply.result;
  const parts = (Array.isArray(content) ? content : [content]).filter(isRecord);
  return text(`The model answered: ${parts.map((part) => asText(part['text'])).join('')}`);
}

/** An empty declaration means forms; one that names modes must name this one. */
function takesForms(elicitation: unknown): boolean {
  return isRecord(elicitation) && ('form' in elicitation || Object.keys(elicitation).length === 0);
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly otherwise: number;
}

function numberIn(args: ToolCall['args'], name: string, range?: Range): number {
  const value = args[name] ?? range?.otherwise;
  if (typeof value !== 'number') throw new InvalidArguments(`${name} must be a number`);
  if (range !== undefined && (value < range.min || value > range.max)) {
    throw new InvalidArguments(`${name} must be from ${range.min} to ${range.max}`);
  }
  return value;
}

function textIn(args: ToolCall['args'], name: string, otherwise?: string): string {
  const value = args[name] ?? otherwise;
  if (typeof value !== 'string') throw new InvalidArguments(`${name} must be a string`);
  return value;
}

function objectSchema(properties: object, required: readonly string[] = []): object {
  return { type: 'object', properties, required };
}

function text(value: string): ToolResult {
  return { content: [{ type: 'text', text: value }] };
}

function failure(reason: string): ToolResult {
  return { ...text(`Nobody could be asked: ${reason}.`), isError: true };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
