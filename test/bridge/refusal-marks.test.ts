import { describe, expect, test } from 'vitest';
import { RefusalMarks } from '../../src/bridge/refusal-marks.ts';
import { UNDECLARED } from '../../src/bridge/reply-router.ts';
import type { Random } from '../../src/domain/ports.ts';
import { readAs } from '../protocol/read.ts';
import { answerOf, requestOf } from './recorded.ts';

const ELICIT = { method: 'elicitation/create', params: { message: 'x', requestedSchema: {} } };
const SAMPLE = { method: 'sampling/createMessage', params: { tools: [] } };

/** Every mark is another one. */
function marks(): RefusalMarks {
  let count = 0;
  const random: Random = { fraction: () => 0.5, bytes: (length) => new Uint8Array(length).fill(++count) };
  return new RefusalMarks(random);
}

const markOf = (message: string): string => message.slice(UNDECLARED.message.length);
const textOf = ({ bytes }: { readonly bytes: Uint8Array }): string => Buffer.from(bytes).toString();
/** An answer in which a server has put what it was told. */
const relayed = (message: string) => answerOf(41, { error: { code: -32603, message: `tool failed: ${message}!` } });

describe('a refusal', () => {
  test('of a question says what it said before, and has a mark that nobody can guess', () => {
    const given = marks();
    const [one, two] = [given.refusal(requestOf(ELICIT)), given.refusal(requestOf(ELICIT))];

    expect(one.code).toBe(UNDECLARED.code);
    expect(one.message).toMatch(/^the client did not declare this capability \([0-9a-f]{24}\)$/);
    expect(two.message).not.toBe(one.message);
  });

  test('of what is no question has none', () => {
    expect(marks().refusal(requestOf({ method: 'x/invented' }))).toEqual(UNDECLARED);
  });
});

describe('an answer that repeats it', () => {
  test.each<[what: string, question: object, required: object]>([
    ['a form', ELICIT, { elicitation: { form: {} } }],
    [
      'a page',
      { method: 'elicitation/create', params: { mode: 'url', url: 'https://x.example' } },
      { elicitation: { url: {} } },
    ],
    ['sampling', { method: 'sampling/createMessage', params: { messages: [] } }, { sampling: {} }],
    ['sampling with tools', SAMPLE, { sampling: { tools: {} } }],
    ['roots', { method: 'roots/list' }, { roots: {} }],
  ])('tells what would have been needed: %s [F43]', (_what, question, required) => {
    const given = marks();
    const { message } = given.refusal(requestOf(question));

    expect(given.takenFrom(relayed(message)).required).toEqual(required);
  });

  test('goes on without the mark, and is otherwise as it came [F43]', () => {
    const given = marks();
    const mark = markOf(given.refusal(requestOf(ELICIT)).message);
    const said = `{ "jsonrpc":"2.0","id":41, "result":{"isError":true,"n":1.0,"content":[{"type":"text","text":"\\u00e9 ${UNDECLARED.message}${mark}."}]}}`;

    const { answer, required } = given.takenFrom(readAs('result', said));

    expect(textOf(answer)).toBe(said.replace(mark, ''));
    expect(answer.kind).toBe('result');
    expect(required).not.toBeNull();
  });

  test('loses every mark of it, also those of several refusals', () => {
    const given = marks();
    const [one, two] = [given.refusal(requestOf(ELICIT)), given.refusal(requestOf(SAMPLE))];

    const { answer } = given.takenFrom(relayed(`${two.message}, ${one.message}, ${two.message}`));

    expect(textOf(answer)).toBe(textOf(relayed(`${UNDECLARED.message}, ${UNDECLARED.message}, ${UNDECLARED.message}`)));
  });

  test('is found though others were refused before and after [F51]', () => {
    const given = marks();
    const all = [ELICIT, SAMPLE, { method: 'roots/list' }].map((question) => given.refusal(requestOf(question)));

    expect(all.map(({ message }) => given.takenFrom(relayed(message)).required)).toEqual([
      { elicitation: { form: {} } },
      { sampling: { tools: {} } },
      { roots: {} },
    ]);
  });

  test('may do so again: a server can try more than once', () => {
    const given = marks();
    const { message } = given.refusal(requestOf(ELICIT));

    for (const _ of [1, 2]) expect(given.takenFrom(relayed(message)).required).not.toBeNull();
  });
});

describe('an answer that repeats none', () => {
  test.each<[what: string, message: string]>([
    ['is another one', 'nothing to see'],
    ['has the words of a refusal without a mark', UNDECLARED.message],
    ['has a mark of somebody else', `${UNDECLARED.message} (000000000000000000000000)`],
  ])('stays what it is: it %s', (_what, message) => {
    const given = marks();
    given.refusal(requestOf(ELICIT));
    const answer = relayed(message);

    const taken = given.takenFrom(answer);

    expect(taken.required).toBeNull();
    expect(taken.answer).toBe(answer);
  });

  test('stays what it is where nothing was refused', () => {
    const answer = relayed(UNDECLARED.message);

    expect(marks().takenFrom(answer)).toEqual({ required: null, answer });
  });
});

test('only so many are remembered, the latest', () => {
  const given = marks();
  const all = Array.from({ length: 65 }, () => given.refusal(requestOf(ELICIT)).message);
  const isKnown = all.map((message) => given.takenFrom(relayed(message)).required !== null);

  expect(isKnown.indexOf(true)).toBe(1);
  expect(isKnown.lastIndexOf(false)).toBe(0);
});
