// Configuration files: a configuration or a list of faults, and nothing of a secret in either.

import { stringify } from 'yaml';
import { ConfigError, readConfig } from '../../../src/config/load.ts';
import { effective } from '../../../src/config/redacted.ts';
import type { Surroundings } from '../../../src/config/substitution.ts';
import { type Target, must } from '../target.ts';

const SECRETS = ['pl4nted-in-the-environment', 'pl4nted-in-a-file'];
/** Whatever a terminal would obey. */
const CONTROL = /[^\n\t\P{Cc}]|[\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

export const YAML: Target = {
  words: [
    'upstreams:\n',
    '  - url: http://127.0.0.1:9001/sse\n',
    '    headers: { x-api-key: ',
    '${SECRET}',
    '${file:/secret}',
    '${NONE:-x}',
    '$${',
    '&a ',
    '*a',
    '<<: *a',
    '!!js/function ',
    '__proto__: { polluted: 1 }',
    'constructor:',
    '? ',
    '|\n',
    '>-\n',
    '"\\x00"',
    "''",
    '---\n',
    '%YAML 1.2\n',
    '\t',
    '# ',
    '- ',
    ': ',
    '{',
    '}',
    '[',
    ']',
    '\ufeff',
    '\r\n',
    'listen:',
    'host:',
    'port:',
    'limits:',
    'bodyBytes: 4MiB',
    'timeouts:',
    'request: 5m',
    'inbound:',
    'bearer:',
    'keys:',
    'name:',
    'sha256:',
    'allowedHosts:',
    'allowedOrigins:',
    'legacy: false',
    'messageUrl:',
    'mode: auto',
    'version: 1',
    '1e999',
    '.inf',
    '~',
    'on',
    '0x10',
    '!!binary ',
    'http://user:pl4nted-in-the-file@a/sse?token=',
    '\u202e',
    '\u001b[2J',
  ],
  check(input) {
    const text = input.toString('utf8');
    const before = Object.keys(Object.prototype).length;
    const outcome = read(text);
    must(
      Object.keys(Object.prototype).length === before && !('polluted' in {}),
      'the prototype of objects was changed',
    );
    must(!CONTROL.test(outcome.said), `a control character: ${JSON.stringify(outcome.said.slice(0, 300))}`);
    for (const secret of SECRETS)
      must(!outcome.said.includes(secret), `a secret is said: ${outcome.said.slice(0, 600)}`);
    return outcome.way;
  },
};

function read(text: string): { readonly said: string; readonly way: string } {
  try {
    const config = readConfig({ file: 'proxy.yaml' }, surroundings(text));
    // What was put in where no secret belongs is shown, such as ${HOST} of an address or a part of a path.
    const upstreams = config.upstreams.map((upstream) => ({ ...upstream, name: '', path: '' }));
    const { upstreams: shown } = effective({ ...config, upstreams });
    const said = stringify(shown)
      .replaceAll(/[^\n -~]/g, '')
      .replaceAll(/:\/\/(?:\*\*\*@)?[^\s?@/:]*(?::\d+)?(?:\/[^\s?@]*)?(?=[\s?"]|$)/g, '');
    return { said, way: `valid${Object.keys(config.upstreams[0] ?? {}).length}` };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const words = error.faults.map(({ message }) => message.replaceAll(/[^a-z ]/g, '').slice(0, 40));
    return { said: error.message, way: [...new Set(words)].slice(0, 6).join() };
  }
}

function surroundings(text: string): Surroundings {
  return {
    env: { SECRET: SECRETS[0] },
    readFile(path) {
      if (path === 'proxy.yaml') return text;
      if (path === '/secret') return `${SECRETS[1]}\n`;
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
  };
}
