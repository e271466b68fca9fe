// The tools that the suite calls by name at 2026-07-28 only. It wants to see how a server of that revision takes answers,
// states and headers; ours is of 2025-11-25 and knows nothing of them: it asks its client while the call runs, and what
// that becomes is the gateway's doing.
import { setTimeout as pass } from 'node:timers/promises';
import { askUser, failure, noArguments, objectSchema, text, type Caller, type Tool } from './tools.ts';

const stepMs = 50;

const name = objectSchema({ name: { type: 'string' } });
const color = objectSchema({ color: { type: 'string' } });
const ok = objectSchema({ ok: { type: 'boolean' } });
/** The suite wants the question under this key: the gateway names a question by the only field of its form. */
const userName = objectSchema({ user_name: { type: 'string' } });

export const modernTools: readonly Tool[] = [
  {
    name: 'test_input_required_result_elicitation',
    description: 'Asks the user for a name.',
    inputSchema: noArguments,
    call: (caller) => askUser(caller, 'What is your name?', userName),
  },
  {
    name: 'test_input_required_result_sampling',
    description: "Asks the client's language model for a capital.",
    inputSchema: noArguments,
    call: async (caller) => told(await askModel(caller, 'What is the capital of France?')),
  },
  {
    name: 'test_input_required_result_list_roots',
    description: "Asks for the client's roots.",
    inputSchema: noArguments,
    call: async (caller) => told(await askRoots(caller)),
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Asks the user to confirm.',
    inputSchema: noArguments,
    call: (caller) => askUser(caller, 'Please confirm.', ok),
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Asks the user to confirm.',
    inputSchema: noArguments,
    call: (caller) => askUser(caller, 'Please confirm.', ok),
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks the user, the language model and for the roots, all at once.',
    inputSchema: noArguments,
    call: async (caller) =>
      told(
        await Promise.all([
          caller.ask('elicitation/create', { message: 'What is your name?', requestedSchema: name }),
          askModel(caller, 'Say hello.'),
          askRoots(caller),
        ]),
      ),
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks the user for a name, and when that is known for a color.',
    inputSchema: noArguments,
    async call(caller) {
      const first = await caller.ask('elicitation/create', { message: 'Who are you?', requestedSchema: name });
      const then = await caller.ask('elicitation/create', { message: 'Which color?', requestedSchema: color });
      return told([first, then]);
    },
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks whatever the client can be asked.',
    inputSchema: noArguments,
    async call(caller) {
      const asked = [
        ...(caller.can('elicitation') ? [askUser(caller, 'Who are you?', name)] : []),
        ...(caller.can('sampling') ? [askModel(caller, 'Are you there?')] : []),
        ...(caller.can('roots') ? [askRoots(caller)] : []),
      ];
      return asked.length === 0 ? failure('This client can be asked nothing.') : told(await Promise.all(asked));
    },
  },
  {
    name: 'test_missing_capability',
    description: "Asks the client's language model without a look at what the client has declared, and fails with it.",
    inputSchema: noArguments,
    call: async (caller) => told(await askModel(caller, 'Are you there?')),
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Reports progress, and asks the user for a name.',
    inputSchema: noArguments,
    async call(caller) {
      await caller.progress(50, 100);
      return askUser(caller, 'What is your name?', name);
    },
  },
  {
    name: 'test_logging_tool',
    description: 'Logs before and after its work.',
    inputSchema: noArguments,
    async call(caller) {
      await caller.log('about to begin');
      await pass(stepMs);
      await caller.log('done');
      return text('Logged two messages.');
    },
  },
  {
    name: 'test_custom_headers',
    description: 'Has arguments that are to be in headers too. Answers with its arguments.',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        priority: { type: 'integer', 'x-mcp-header': 'Priority' },
        urgent: { type: 'boolean', 'x-mcp-header': 'Urgent' },
        query: { type: 'string' },
      },
      required: ['region'],
    },
    call: (_caller, args) => told(args),
  },
];

function askModel(caller: Caller, question: string): Promise<unknown> {
  const messages = [{ role: 'user', content: { type: 'text', text: question } }];
  return caller.ask('sampling/createMessage', { messages, maxTokens: 100 });
}

function askRoots(caller: Caller): Promise<unknown> {
  return caller.ask('roots/list', {});
}

function told(what: unknown): ReturnType<typeof text> {
  return text(JSON.stringify(what));
}
