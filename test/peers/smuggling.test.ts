// Requests that can be read in two ways, through a real nginx that keeps its connections to the gateway open for others.
import { expect, onTestFinished, test } from 'vitest';
import { JSON_HEADERS, startGateway } from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { PAYLOADS, faultIn, fateOf } from '../support/smuggling.ts';
import { nginxBefore } from '../support/nginx.ts';

/** nginx takes some that the gateway would refuse. Then what is behind them is a request to both, and answered as one. */
const ASKED = ['outer', 'smuggled', 'after'];
const TIMES = ['client_body_timeout 1s;', 'client_header_timeout 1s;'];

test.each([
  ['as it is', [], TIMES],
  // It passes on what it would leave out, and bodies while they come.
  [
    'that passes on whatever it can',
    ['proxy_request_buffering off;'],
    [...TIMES, 'underscores_in_headers on;', 'ignore_invalid_headers off;', 'merge_slashes off;'],
  ],
] as const)(
  'through nginx %s the upstream sees one request or none, and whoever follows is answered [T11]',
  async (...given) => {
    const [, directives, ofServer] = given;
    const upstream = await startLegacyServer();
    onTestFinished(() => upstream.close());
    const gateway = await startGateway(upstream.url, { timeouts: { clientHeaders: '1s', clientBody: '1s' } });
    onTestFinished(() => gateway.close());
    const origin = await nginxBefore(gateway.origin, directives, ofServer);
    const faults: object[] = [];
    let served = 0;

    // One by one: the next one goes over the connection of the one before.
    for (const [index, payload] of PAYLOADS.entries()) {
      const id = `n${index}`;
      const fate = await fateOf(origin, upstream, payload, id);
      const body = { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'echo', arguments: { next: id } } };
      const next = await fetch(`${origin}/mcp`, { method: 'POST', headers: JSON_HEADERS, body: JSON.stringify(body) });
      const answer = (await next.json()) as { id: unknown; result?: { structuredContent: unknown } };
      const fault = faultIn(fate, ASKED);
      if (fault !== null) faults.push({ name: payload.name, fault, ...fate });
      if (answer.id !== id || JSON.stringify(answer.result?.structuredContent) !== JSON.stringify({ next: id })) {
        faults.push({ name: payload.name, fault: 'the next client was told something else', answer });
      }
      if (fate.calls.includes('outer')) served++;
    }

    expect(faults).toEqual([]);
    expect(served).toBeGreaterThan(20);
  },
);
