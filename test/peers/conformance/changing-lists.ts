// A tool and a prompt that come and go while the server runs, and the tools that make them. The server has one list of each
// for all connections, and tells all of them.
import { objectSchema, text, type Caller, type Tool, type ToolResult } from './tools.ts';

const passing = { tools: false, prompts: false };

/** The tool that is there at times. */
export function passingTools(): readonly Tool[] {
  return passing.tools
    ? [
        {
          name: 'test_passing',
          description: 'Comes and goes.',
          inputSchema: objectSchema({}),
          call: () => text('Here.'),
        },
      ]
    : [];
}

/** Whether there is one prompt more. */
export function hasPassingPrompt(): boolean {
  return passing.prompts;
}

export const changingTools: readonly Tool[] = [
  {
    name: 'test_trigger_tool_change',
    description: 'Adds a tool, or takes it away again.',
    inputSchema: objectSchema({}),
    call: (caller) => change(caller, 'tools'),
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Adds a prompt, or takes it away again.',
    inputSchema: objectSchema({}),
    call: (caller) => change(caller, 'prompts'),
  },
];

async function change(caller: Caller, list: keyof typeof passing): Promise<ToolResult> {
  passing[list] = !passing[list];
  await caller.announce(`notifications/${list}/list_changed`, {});
  return text(passing[list] ? 'One more.' : 'One less.');
}
