import { expect, test } from 'vitest';
import { KEYS, SCHEMA, nodesAt } from '../../src/config/keys.ts';

test('every key says what it means, whether it can change live, and its default or an example', () => {
  for (const { name, node } of KEYS) {
    expect(node.description?.length, name).toBeGreaterThan(8);
    expect(typeof node['x-live'], name).toBe('boolean');
    expect(node.default ?? node['x-example'], name).toBeDefined();
  }
  for (const [name, node] of Object.entries(SCHEMA.properties ?? {})) expect(node.description, name).toBeDefined();
});

test.each([
  ['links.idleTimeout', 'CAUSEWAY_LINKS_IDLE_TIMEOUT', 'links-idle-timeout'],
  ['timeouts.request', 'CAUSEWAY_TIMEOUTS_REQUEST', 'timeouts-request'],
  ['upstreams[].url', 'CAUSEWAY_UPSTREAM', 'upstream'],
  ['upstreams[].headers', 'CAUSEWAY_HEADER', 'header'],
  ['upstreams[].mode', 'CAUSEWAY_MODE', 'mode'],
  ['listen.port', 'CAUSEWAY_LISTEN', 'listen'],
  ['admin.port', 'CAUSEWAY_ADMIN', 'admin'],
  ['log.level', 'CAUSEWAY_LOG_LEVEL', 'log-level'],
  ['inbound.bearer.keys', 'CAUSEWAY_INBOUND_BEARER_KEYS', 'inbound-bearer-keys'],
  ['version', undefined, undefined],
])('%s is %s and --%s', (name, variable, flag) => {
  expect(KEYS.find((key) => key.name === name)).toMatchObject({ name, ...(variable && { variable, flag }) });
});

test('no two keys are said in one way, but for the addresses', () => {
  const flags = KEYS.flatMap(({ flag }) => (flag === undefined ? [] : [flag])).filter(
    (flag) => flag !== 'listen' && flag !== 'admin',
  );

  expect(new Set(flags).size).toBe(flags.length);
});

test('of a place that is not in the schema nothing is known', () => {
  expect(nodesAt(['links', 'max', 'more'])).toEqual([]);
  expect(nodesAt(['upstreams', 0, 'headers', 'x-any'])).toHaveLength(1);
  expect(nodesAt(['constructor'])).toEqual([]);
});
