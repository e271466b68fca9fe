import { expect, test } from 'vitest';
import { html, styleSheet, theirs } from '../../src/admin/html.ts';

test('what is put into a template is text, what came out of one is markup, and nothing is nothing', () => {
  const inner = html`<b>${'<i>'}</b>`;

  expect(String(html`<p title="${'" onclick="x'}">${inner}${null}${7}${[inner, '&', ["'"]]}</p>`)).toBe(
    '<p title="&quot; onclick=&quot;x"><b>&lt;i&gt;</b>7<b>&lt;i&gt;</b>&amp;&#39;</p>',
  );
  expect(String(styleSheet('a>b{}'))).toBe('<style>a>b{}</style>');
});

test.each([
  ['a null', '\0'],
  ['an escape', '\u001b[31m'],
  ['a turn of direction', '\u202e'],
  ['an isolate', '\u2066'],
  ['nothing to see', '\u200b'],
  ['a mark of order', '\ufeff'],
  ['a line separator', '\u2028'],
  ['text in invisible tags', '\u{e0041}'],
])('%s is shown as what cannot be shown', (_, hidden) => {
  const shown = String(html`${`a${hidden}b`}`);

  expect(shown).toMatch(/^a\ufffd+(?:\[31m)?b$/);
});

test('words of others have a direction of their own, and are cut between characters', () => {
  expect(String(theirs('שלום <b>', 20))).toBe('<bdi>שלום &lt;b&gt;</bdi>');
  expect(String(theirs('abcdef', 6))).toBe('<bdi>abcdef</bdi>');
  expect(String(theirs('abcdefg', 6))).toBe('<bdi>abcde…</bdi>');
  expect(String(theirs('😀'.repeat(1000), 3))).toBe('<bdi>😀😀…</bdi>');
});
