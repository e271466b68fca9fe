// Servers made with every framework of test/fixtures/servers, byte for byte, and which one the probe takes them for.

import { expect, test } from 'vitest';
import { FRAMEWORKS as KNOWN, type FrameworkId } from '../../src/probe/frameworks.ts';
import { playFramework } from '../support/framework-server.ts';
import { FRAMEWORKS } from '../support/frameworks.ts';
import { documentAt } from './probed.ts';

/** By the name of the fixture; null: nothing that is known, which is right for what somebody wrote at home. */
const TAKEN_FOR: Readonly<Record<string, FrameworkId | null>> = {
  'C# SDK': 'csharp-sdk',
  'C# SDK, previews of April 2025': 'csharp-sdk-preview',
  fastapi_mcp: 'fastapi_mcp',
  'Go SDK, SSEHandler': 'go-sdk',
  'home-made: answers in the body of POST': null,
  'home-made: events of its own': null,
  'Java SDK, servlet': 'java-sdk',
  'Kotlin SDK on Ktor': 'kotlin-sdk',
  'mcp-go': 'mcp-go',
  'mcp-go before May 2025': 'mcp-go-before-0.26',
  'n8n MCP Server Trigger': 'n8n',
  'Python SDK, SseServerTransport': 'python-sdk',
  'Quarkus MCP server': 'quarkus',
  'Ruby fast-mcp': 'fast-mcp',
  'Ruby fast-mcp 1.0': 'fast-mcp',
  'Rust SDK rmcp': 'rmcp',
  'Spring AI, WebMVC': 'spring-ai',
  supergateway: 'supergateway',
  'ThinkInAI go-mcp': 'thinkinai-go-mcp',
  'TypeScript SDK, SSEServerTransport': 'typescript-sdk',
};

test('every fixture is expected to be taken for something, and every framework that is known has one', () => {
  expect(Object.keys(TAKEN_FOR).toSorted()).toEqual(FRAMEWORKS.map(({ name }) => name).toSorted());
  expect(new Set(Object.values(TAKEN_FOR).filter((id) => id !== null))).toEqual(new Set(Object.keys(KNOWN)));
});

test.each(FRAMEWORKS.map((framework) => [framework.name, framework] as const))(
  '%s is usable, and taken for what it is',
  async (name, framework) => {
    const server = await playFramework(framework);

    const { kind, frameworks, httpSse, endpoint } = await documentAt(server.url);

    expect(kind).toBe('http_sse');
    expect(httpSse?.tools).toEqual({ count: 2, stopped: null });
    expect(frameworks[0] === undefined ? null : [frameworks[0].id, frameworks[0].sure]).toEqual(
      TAKEN_FOR[name] === null ? null : [TAKEN_FOR[name], 'likely'],
    );
    // Where a session is named, it is shown by nothing.
    expect(JSON.stringify(endpoint)).not.toMatch(/[\da-f]{8}-|[A-Za-z\d+_-]{20}/);
  },
);
