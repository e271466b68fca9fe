// The prompts that the conformance suite gets by name, and completion of their arguments.
import { hasPassingPrompt } from './changing-lists.ts';
import { invalidParams, refusal } from './refusal.ts';
import { png } from './samples.ts';
import { objectSchema, type Caller } from './tools.ts';

type Arguments = Readonly<Record<string, string>>;

interface Prompt {
  readonly name: string;
  readonly description: string;
  /** Each of them is required. */
  readonly arguments: readonly string[];
  readonly contents: (args: Arguments, caller: Caller) => readonly object[] | Promise<readonly object[]>;
}

const lastingPrompts: readonly Prompt[] = [
  {
    name: 'test_simple_prompt',
    description: 'Text.',
    arguments: [],
    contents: () => [text('Say something.')],
  },
  {
    name: 'test_prompt_with_arguments',
    description: 'Text with two arguments in it.',
    arguments: ['arg1', 'arg2'],
    contents: ({ arg1, arg2 }) => [text(`The first is ${arg1}, the second is ${arg2}.`)],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'A resource and what to do with it.',
    arguments: ['resourceUri'],
    contents: ({ resourceUri }) => [
      { type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'To be summed up.' } },
      text('Sum it up.'),
    ],
  },
  {
    name: 'test_prompt_with_image',
    description: 'An image and what to do with it.',
    arguments: [],
    contents: () => [{ type: 'image', ...png }, text('What is it?')],
  },
  {
    name: 'test_input_required_result_prompt',
    description: 'Text that depends on what the user answers.',
    arguments: [],
    async contents(_args, caller) {
      if (!caller.can('elicitation')) throw refusal(invalidParams, 'This client has no user to ask.');
      const requestedSchema = objectSchema({ context: { type: 'string' } });
      const answer = await caller.ask('elicitation/create', { message: 'What is it about?', requestedSchema });
      return [text(`The user answered: ${JSON.stringify(answer)}`)];
    },
  },
];

const passingPrompt: Prompt = {
  name: 'test_passing_prompt',
  description: 'Comes and goes.',
  arguments: [],
  contents: () => [text('Here.')],
};

const words = ['test', 'testing', 'word'];

export function listPrompts(): object {
  return {
    prompts: prompts().map(({ name, description, arguments: required }) => ({
      name,
      description,
      arguments: required.map((argument) => ({ name: argument, required: true })),
    })),
  };
}

export async function getPrompt(caller: Caller, name: string, args: Arguments): Promise<object> {
  const prompt = prompts().find((each) => each.name === name);
  if (prompt === undefined) throw refusal(invalidParams, `There is no prompt ${name}.`);
  const missing = prompt.arguments.filter((argument) => args[argument] === undefined);
  if (missing.length > 0) throw refusal(invalidParams, `The prompt wants ${missing.join(' and ')}.`);
  const contents = await prompt.contents(args, caller);
  return { description: prompt.description, messages: contents.map((content) => ({ role: 'user', content })) };
}

/** Any argument may be any of three words. */
export function complete(begun: string): object {
  const values = words.filter((word) => word.startsWith(begun));
  return { completion: { values, total: values.length, hasMore: false } };
}

function prompts(): readonly Prompt[] {
  return hasPassingPrompt() ? [...lastingPrompts, passingPrompt] : lastingPrompts;
}

function text(content: string): object {
  return { type: 'text', text: content };
}
