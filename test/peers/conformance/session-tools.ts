// Tools for tests of sessions: calls that last until they are told to end, and what a server says or asks at other times than
// the tools of the suite do. The suite itself calls none of them.
import { z } from 'zod';
import { refusal, validParams } from './refusal.ts';
import { failure, objectSchema, text, type AskOptions, type Caller, type Tool } from './tools.ts';

const refused = -32000;
/** How long a question waits that nobody is meant to answer. */
const patienceMs = 200;

const waitParams = z.object({ name: z.string() });
const releaseParams = waitParams.extend({
  progress: z.number().optional(),
  question: z.boolean().optional(),
  error: z.string().optional(),
  urlElicitation: z.string().optional(),
});
const announceParams = z.object({ method: z.string(), params: z.record(z.string(), z.unknown()).default({}) });

type Release = z.infer<typeof releaseParams>;

/** Of all connections: who is to be released is often away. */
const waiting = new Map<string, (release: Release) => void>();

export const sessionTools: readonly Tool[] = [
  {
    name: 'test_wait',
    description: 'Answers when test_release says so. Tells stdout that it waits, and that it was cancelled.',
    inputSchema: objectSchema({ name: { type: 'string', description: 'By which it is released' } }),
    call(caller, args) {
      const { name } = validParams(waitParams, args);
      return new Promise((resolve, reject) => {
        caller.signal.addEventListener('abort', () => {
          waiting.delete(name);
          console.log(`cancelled ${name}: ${String(caller.signal.reason)}`);
          reject(new Error('cancelled'));
        });
        waiting.set(name, (release) => {
          if (release.progress !== undefined) {
            caller.progress(release.progress, 100).catch(reject);
            return;
          }
          waiting.delete(name);
          const error = errorOf(release);
          if (error !== undefined) reject(error);
          else resolve(release.question === true ? told(askModel(caller)) : text(`Released ${name}.`));
        });
        console.log(`waiting ${name}`);
      });
    },
  },
  {
    name: 'test_release',
    description: 'Ends the call of test_wait with that name, or only makes it report progress.',
    inputSchema: {
      type: 'object',
      properties: {
        name: { type: 'string' },
        progress: { type: 'number', description: 'The call reports this, and goes on waiting' },
        question: { type: 'boolean', description: 'The call asks the language model of its client before it answers' },
        error: { type: 'string', description: 'The call fails with this message' },
        urlElicitation: { type: 'string', description: 'The call fails because this elicitation has to be done first' },
      },
      required: ['name'],
    },
    call(_caller, args) {
      const params = validParams(releaseParams, args);
      const release = waiting.get(params.name);
      if (release === undefined) return failure(`Nothing waits as ${params.name}.`);
      release(params);
      return text('Done.');
    },
  },
  {
    name: 'test_announce',
    description: 'Sends a notification to every client that is connected.',
    inputSchema: {
      type: 'object',
      properties: { method: { type: 'string' }, params: { type: 'object' } },
      required: ['method'],
    },
    async call(caller, args) {
      const { method, params } = validParams(announceParams, args);
      await caller.announce(method, params);
      return text('Done.');
    },
  },
  {
    name: 'test_url_elicitation',
    description: 'Asks the user to visit a page.',
    inputSchema: objectSchema({ elicitationId: { type: 'string' }, url: { type: 'string' } }),
    async call(caller, args) {
      const { elicitationId, url } = validParams(z.object({ elicitationId: z.string(), url: z.url() }), args);
      return told(caller.ask('elicitation/create', { mode: 'url', message: 'Please sign in.', elicitationId, url }));
    },
  },
  {
    name: 'test_withdrawn_sampling',
    description: "Asks the client's language model and soon takes the question back.",
    inputSchema: objectSchema({}),
    call: (caller) => told(askModel(caller, { timeout: patienceMs })),
  },
  {
    name: 'test_sampling_with_progress',
    description: "Asks the client's language model and wants to know how far it is.",
    inputSchema: objectSchema({}),
    async call(caller) {
      const heard: unknown[] = [];
      await askModel(caller, { onprogress: (progress) => heard.push(progress) });
      return text(JSON.stringify(heard));
    },
  },
];

function errorOf({ error, urlElicitation }: Release): Error | undefined {
  if (error !== undefined) return refusal(refused, error);
  if (urlElicitation === undefined) return undefined;
  const elicitation = { mode: 'url', elicitationId: urlElicitation, url: 'https://example.com/', message: 'Sign in.' };
  return Object.assign(refusal(-32042, 'Sign in first.'), { data: { elicitations: [elicitation] } });
}

function askModel(caller: Caller, options?: AskOptions): Promise<unknown> {
  const messages = [{ role: 'user', content: { type: 'text', text: 'Are you there?' } }];
  return caller.ask('sampling/createMessage', { messages, maxTokens: 100 }, options);
}

/** The answer, or the error that came instead. */
async function told(asked: Promise<unknown>): Promise<ReturnType<typeof text>> {
  const outcome = await asked.then(
    (answer) => JSON.stringify(answer),
    (error: unknown) => String(error),
  );
  return text(`The client answered: ${outcome}`);
}
