// The command line of the official Inspector: one program run per request, each with a session of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Child } from '../support/child.ts';
import { everything, ownServer } from './support/legacy-peers.ts';
import { peerFile } from './support/packages.ts';
import { place } from './support/sessions/places.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the Inspector before the project’s own server', () => {
  const here = place(ownServer);

  test.each([
    {
      what: 'lists tools',
      args: ['tools/list'],
      result: { tools: expect.arrayContaining([expect.objectContaining({ name: 'test_simple_text' })]) },
    },
    {
      what: 'calls a tool that reports progress',
      args: ['tools/call', '--tool-name', 'test_tool_with_progress'],
      result: { content: [{ type: 'text', text: 'Reported progress three times.' }] },
    },
    {
      what: 'lists resources',
      args: ['resources/list'],
      result: { resources: expect.arrayContaining([expect.objectContaining({ uri: 'test://static-text' })]) },
    },
    {
      what: 'lists templates of resources',
      args: ['resources/templates/list'],
      result: { resourceTemplates: [{ uriTemplate: 'test://template/{id}/data' }] },
    },
    {
      what: 'reads a resource',
      args: ['resources/read', '--uri', 'test://static-text'],
      result: { contents: [{ uri: 'test://static-text', text: 'It never changes.' }] },
    },
    {
      what: 'lists prompts',
      args: ['prompts/list'],
      result: { prompts: expect.arrayContaining([expect.objectContaining({ name: 'test_simple_prompt' })]) },
    },
    {
      what: 'gets a prompt with arguments',
      args: ['prompts/get', '--prompt-name', 'test_prompt_with_arguments', '--prompt-args', 'arg1=here', 'arg2=there'],
      result: { messages: [{ content: { type: 'text', text: 'The first is here, the second is there.' } }] },
    },
    { what: 'sets the level of the log', args: ['logging/setLevel', '--log-level', 'warning'], result: {} },
  ])('$what', async ({ args, result }) => {
    const { code, stdout, stderr } = await inspector(here().url, '--format', 'json', '--method', ...args);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ result });
  });

  test('tells apart a tool that failed', async () => {
    const { code, stderr } = await inspector(
      here().url,
      '--method',
      'tools/call',
      '--tool-name',
      'test_error_handling',
    );

    expect(code).toBe(5);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'tool_is_error' } });
  });

  test.each(['auto', 'modern'])(
    'calls a tool that reports progress in the modern era, when it is told %s',
    async (era) => {
      const call = ['--format', 'json', '--method', 'tools/call', '--tool-name', 'test_tool_with_progress'];

      const { code, stdout, stderr } = await inspector(here().url, ...call, '--protocol-era', era);

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({
        result: {
          content: [{ type: 'text', text: 'Reported progress three times.' }],
          // Of this era alone.
          _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'conformance-server' } },
        },
      });
    },
  );

  test('calls a tool 100 times, 10 at a time, without an error', async () => {
    const call = ['--method', 'tools/call', '--tool-name', 'test_simple_text'];

    const { code, stdout } = await inspector(here().url, ...call, '--load', '--load-requests', '100');

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ requests: 100, ok: 100, errors: 0 });
  });
});

describe('the Inspector before server-everything', () => {
  const here = place(everything);

  test.each([
    { how: 'one by one', args: ['--tool-arg', 'a=2', 'b=3'] },
    { how: 'as JSON', args: ['--tool-args-json', '{"a":2,"b":3}'] },
  ])('calls a tool with arguments that are given $how', async ({ args }) => {
    const call = ['--format', 'json', '--method', 'tools/call', '--tool-name', 'get-sum'];

    const { code, stdout, stderr } = await inspector(here().url, ...call, ...args);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ result: { content: [{ text: 'The sum of 2 and 3 is 5.' }] } });
  });
});

/** A whole run of it. It keeps files in the home directory, so it gets one of its own. */
async function inspector(url: string, ...args: readonly string[]): Promise<Outcome> {
  const home = mkdtempSync(join(tmpdir(), 'causeway-inspector-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const script = peerFile('@modelcontextprotocol/inspector', 'clients/launcher/build/index.js');
  const child = new Child({
    name: 'inspector',
    args: [script, '--cli', url, '--transport', 'http', ...args],
    env: { HOME: home },
  });
  const { code } = await child.printed(({ end }) => end, 'end');
  return { code, stdout: child.stdout, stderr: child.stderr };
}
