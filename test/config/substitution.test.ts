import { expect, test } from 'vitest';
import { substitute } from '../../src/config/substitution.ts';
import { URL_LINE, configOf, machine } from './surroundings.ts';

const surroundings = machine(
  { '/run/key': 's3cret\r\n', '/two': 'a\nb\n' },
  { NAME: 'value', EMPTY: '', ENDED: 'value\n' },
);

test.each([
  ['${NAME}', 'value'],
  ['a-${NAME}-${NAME}', 'a-value-value'],
  ['a-${ENDED}-b', 'a-value-b'],
  ['${NAME:-other}', 'value'],
  ['${NOPE:-other}', 'other'],
  ['${NOPE:-}', ''],
  ['${EMPTY}', ''],
  ['${EMPTY:-other}', 'other'],
  ['${NOPE:-http://a/?b=c}', 'http://a/?b=c'],
  ['${file:/run/key}', 's3cret'],
  ['${file:/two}', 'a\nb'],
  ['$${NAME}', '${NAME}'],
  ['$NAME and $5 {x}', '$NAME and $5 {x}'],
])('%s becomes %j', (text, expected) => {
  expect(substitute(text, surroundings)).toMatchObject({ text: expected, faults: [] });
});

test.each([
  ['${NOPE}', /no NOPE/],
  ['${NAM}', /no NAM/],
  ['${file:/nope}', /no such file/],
  ['${file:}', /no file is named/],
  ['${1A}', /names no variable/],
  ['${NAME-x}', /names no variable/],
  ['${NAME', /no closing brace/],
])('%s is a fault', (text, message) => {
  expect(substitute(text, surroundings).faults).toMatchObject([{ text, message: expect.stringMatching(message) }]);
});

test('what is put in is not looked at again', () => {
  expect(substitute('${A}', machine({}, { A: '${B}', B: 'b' })).text).toBe('${B}');
});

test('where a number belongs, a number is put in; where a text belongs, a text', () => {
  const yaml = `${URL_LINE}    name: \${N}\n    headers: { x-n: "\${N}" }\nlisten: { port: "\${N}" }\nlinks: { single: "\${T}" }\n`;

  const { upstreams, listen, links } = configOf({ yaml, env: { N: '8081', T: 'true' } });

  expect([upstreams[0]?.name, upstreams[0]?.headers, listen.port, links.single]).toEqual([
    '8081',
    { 'x-n': '8081' },
    8081,
    true,
  ]);
});
