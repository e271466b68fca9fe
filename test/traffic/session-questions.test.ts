import { describe, expect, test } from 'vitest';
import type { Call } from '../../src/bridge/call.ts';
import { FULL_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import { bytesOf, idText } from '../../src/protocol/json-rpc.ts';
import type { Question } from '../../src/bridge/link-listener.ts';
import { SessionQuestions, type Shown } from '../../src/traffic/session-questions.ts';
import { answerOf, notificationOf, text } from '../bridge/recorded.ts';
import { readAs } from '../protocol/read.ts';

const FORM =
  '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"é 1.0","requestedSchema":{"x":1.0}}}';
const URL_MODE =
  '{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"mode":"url","elicitationId":"e1","url":"https://x"}}';
const SAMPLING =
  '{"jsonrpc":"2.0","id":8,"method":"sampling/createMessage","params":{"_meta":{"progressToken":"t"},"messages":[]}}';

function opened(profile = FULL_PROFILE) {
  const shown: { readonly message: string; readonly about: Call | null; readonly shown: Shown | null }[] = [];
  /** Those that wait to be shown. */
  const waiting = new Set<Shown>();
  const questions = new SessionQuestions({
    profile,
    show: (message, about, which) => {
      shown.push({ message: text(message), about, shown: which });
      return null;
    },
    unshow: (which) => waiting.delete(which),
  });
  /** What the upstream gets: answers to its questions, and what it is told of them. */
  const answers: string[] = [];
  const told: string[] = [];
  const ask = (json: string, about: Call | null = null) => {
    const request = readAs('request', json);
    const token = request.meta?.members.get('progressToken');
    const question: Question = {
      method: request.method,
      id: bytesOf(request.bytes, request.id),
      progressToken: token === undefined ? null : idText(request.bytes, token),
      about,
      answer: (message) => void answers.push(text(message)),
      notify: (message) => void told.push(text(message)),
    };
    const asked = questions.asked(question, request);
    return { question, refused: 'refusal' in asked ? asked.refusal : null };
  };
  return { questions, shown, waiting, answers, told, ask };
}

describe('a question', () => {
  test('is shown under an id of ours, and otherwise as it came [B22]', () => {
    const { shown, ask } = opened();

    expect(ask(FORM).refused).toBeNull();

    expect(shown.map(({ message }) => message)).toEqual([FORM.replace('"q"', '"causeway-1"')]);
  });

  test('is shown under another id each time, though the upstream repeats its own', () => {
    const { questions, shown, ask } = opened();
    for (let count = 1; count <= 3; count++) {
      ask(FORM);
      questions.answered(answerOf(`causeway-${count}`));
    }

    expect(shown.map((each) => each.shown?.id)).toEqual(['causeway-1', 'causeway-2', 'causeway-3']);
  });

  test('is shown without a task, which the client could not hand back [D6]', () => {
    const { shown, ask } = opened();

    ask(FORM.replace('"params":{', '"params":{"task":{"ttl":1},'));

    expect(shown[0]?.message).toBe(FORM.replace('"q"', '"causeway-1"'));
  });

  test('for which the client declared nothing is refused and not shown [B23 C5 G11]', () => {
    const { questions, shown, ask } = opened(profileOf({ roots: {} }, '2025-11-25'));

    expect(ask(FORM).refused?.code).toBe(-32601);

    expect(shown).toEqual([]);
    expect(questions.answered(answerOf('causeway-1'))).toBe(false);
  });

  test('keeps the id of an elicitation by URL, by which its page knows it [D4]', () => {
    const { shown, ask } = opened();

    ask(URL_MODE);

    expect(shown[0]?.message).toBe(URL_MODE.replace('"id":7', '"id":"causeway-1"'));
  });
});

describe('the client’s answer', () => {
  test.each<[what: string, answer: ReturnType<typeof answerOf>, sent: string]>([
    ['a result', answerOf('causeway-1', { result: { action: 'accept' } }), '"result":{"action":"accept"}'],
    ['an error', answerOf('causeway-1', { error: { code: -1, message: 'no' } }), '"error":{"code":-1,"message":"no"}'],
  ])('reaches the upstream under its own id, once: %s [B22 G10 G23]', (_what, answer, sent) => {
    const { questions, answers, ask } = opened();
    ask(FORM.replace('"q"', '"\\u0071"'));

    expect(questions.answered(answer)).toBe(true);
    expect(questions.answered(answer)).toBe(false);

    expect(answers).toEqual([`{"jsonrpc":"2.0","id":"\\u0071",${sent}}`]);
  });

  test.each([['causeway-2'], ['q'], [1], [null], ['Causeway-1']])('to what was never asked (%j) is nobody’s', (id) => {
    const { questions, answers, ask } = opened();
    ask(FORM);

    expect(questions.answered(answerOf(id))).toBe(false);

    expect(answers).toEqual([]);
  });

  test('to a question that it was not shown yet is its answer all the same: it is not shown any more', () => {
    const { questions, shown, waiting, answers, ask } = opened();
    ask(FORM);
    for (const each of shown) if (each.shown !== null) waiting.add(each.shown);

    expect(questions.answered(answerOf('causeway-1'))).toBe(true);

    expect(answers).toHaveLength(1);
    expect(waiting.size).toBe(0);
  });

  test('to each of several questions goes to its own, in whatever order', () => {
    const { questions, answers, ask } = opened();
    ask(FORM);
    ask(URL_MODE);

    questions.answered(answerOf('causeway-2', { result: 'url' }));
    questions.answered(answerOf('causeway-1', { result: 'form' }));

    expect(answers.map((answer): unknown => JSON.parse(answer))).toMatchObject([
      { id: 7, result: 'url' },
      { id: 'q', result: 'form' },
    ]);
  });
});

describe('a question that is withdrawn', () => {
  const cancel = notificationOf('notifications/cancelled', { requestId: 'q', reason: 'never mind' });

  test('is withdrawn from the client too, by the id that it knows', () => {
    const { questions, shown, ask, answers } = opened();
    const { question } = ask(FORM);

    questions.withdrawn(question, cancel);

    expect(JSON.parse(shown[1]?.message ?? '')).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'causeway-1', reason: 'never mind' },
    });
    expect(shown[1]?.shown).toBeNull();
    expect(questions.answered(answerOf('causeway-1'))).toBe(false);
    expect(answers).toEqual([]);
  });

  test('says so by itself where the upstream that asked is gone', () => {
    const { questions, shown, ask } = opened();
    const { question } = ask(FORM);

    questions.withdrawn(question, null);

    expect(JSON.parse(shown[1]?.message ?? '')).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: 'causeway-1' },
    });
  });

  test('is not even mentioned to a client that was not shown it yet', () => {
    const { questions, shown, waiting, ask } = opened();
    const { question } = ask(FORM);
    for (const each of shown) if (each.shown !== null) waiting.add(each.shown);

    questions.withdrawn(question, cancel);

    expect(shown).toHaveLength(1);
    expect(waiting.size).toBe(0);
  });

  test('after its answer is nothing to the client', () => {
    const { questions, shown, ask } = opened();
    const { question } = ask(FORM);
    questions.answered(answerOf('causeway-1'));

    questions.withdrawn(question, cancel);

    expect(shown).toHaveLength(1);
  });
});

describe('a question that nobody answers', () => {
  test('is refused where there was no stream to show it on, once [G10]', () => {
    const { questions, shown, answers, ask } = opened();
    ask(FORM);
    const which = shown[0]?.shown;
    if (which === undefined || which === null) throw new Error('it was to be shown');

    questions.unshowable(which);
    questions.unshowable(which);

    expect(answers.map((answer): unknown => JSON.parse(answer))).toMatchObject([{ id: 'q', error: { code: -32603 } }]);
    expect(questions.answered(answerOf('causeway-1'))).toBe(false);
  });

  test('is answered as nobody would when the session ends, each once [G10]', () => {
    const { questions, answers, ask } = opened();
    for (const json of [FORM, SAMPLING, URL_MODE]) ask(json);
    questions.answered(answerOf('causeway-3'));

    questions.end('the session has ended');
    questions.end('the session has ended');

    expect(answers.slice(1).map((answer): unknown => JSON.parse(answer))).toMatchObject([
      { id: 'q', result: { action: 'cancel' } },
      { id: 8, error: { code: -1, message: 'the session has ended' } },
    ]);
  });
});

describe('what belongs to a question', () => {
  test('is the progress of its answer, told to the upstream by its own token, byte for byte', () => {
    const { questions, told, ask } = opened();
    const progress = (progressToken: unknown) =>
      notificationOf('notifications/progress', { progressToken, progress: 1 });
    expect(questions.progress(progress('t'))).toBe(false);
    ask(SAMPLING);
    ask(FORM);

    expect(['t', 'u', 8, undefined].map((token) => questions.progress(progress(token)))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    questions.answered(answerOf('causeway-1'));

    expect(questions.progress(progress('t'))).toBe(false);
    expect(told).toEqual([text([progress('t').bytes])]);
  });

  test('is the completion of an elicitation by URL, told to the client that was shown it [D4]', () => {
    const [alice, bob] = [opened(), opened()];
    alice.ask(URL_MODE);
    alice.questions.answered(answerOf('causeway-1'));
    const complete = (elicitationId: unknown) =>
      notificationOf('notifications/elicitation/complete', { elicitationId });

    expect(bob.questions.isCompletion(complete('e1'))).toBe(false);
    expect(['e2', 7, undefined].map((id) => alice.questions.isCompletion(complete(id)))).toEqual([false, false, false]);
    expect(alice.questions.isCompletion(complete('e1'))).toBe(true);
  });

  test('is the completion of one that an error has told the client of [D4 D5]', () => {
    const { questions } = opened();
    const data = {
      elicitations: [{ mode: 'url', elicitationId: 'e1' }, { elicitationId: 7 }, null, { elicitationId: 'e2' }],
    };

    questions.announced(answerOf(1, { error: { code: -32042, message: '', data } }));

    const complete = (elicitationId: string) => notificationOf('notifications/elicitation/complete', { elicitationId });
    expect(['e1', 'e2', 'e3'].map((id) => questions.isCompletion(complete(id)))).toEqual([true, true, false]);
  });

  test.each<[what: string, members: { result: unknown } | { error: object }]>([
    ['a result', { result: { elicitations: [{ elicitationId: 'e1' }] } }],
    ['an error without data', { error: { code: -32042, message: '' } }],
    ['data that is no object', { error: { code: -32042, message: '', data: 'e1' } }],
    ['data that is null', { error: { code: -32042, message: '', data: null } }],
    ['a list that is none', { error: { code: -32042, message: '', data: { elicitations: { elicitationId: 'e1' } } } }],
    [
      'an id that nobody would choose',
      { error: { code: 1, message: '', data: { elicitations: [{ elicitationId: 'x'.repeat(5000) }] } } },
    ],
  ])('is told by no other answer: %s', (_what, members) => {
    const { questions } = opened();

    questions.announced(answerOf(1, members));

    for (const elicitationId of ['e1', 'x'.repeat(5000)]) {
      expect(questions.isCompletion(notificationOf('notifications/elicitation/complete', { elicitationId }))).toBe(
        false,
      );
    }
  });

  test('is forgotten for the oldest of more than 1,000 elicitations that never complete', () => {
    const { questions, ask } = opened();
    const complete = (n: number) => notificationOf('notifications/elicitation/complete', { elicitationId: `e${n}` });
    for (let n = 1; n <= 1001; n++) {
      ask(URL_MODE.replace('"e1"', `"e${n}"`));
      questions.answered(answerOf(`causeway-${n}`));
    }

    expect([1, 2, 1001].map((n) => questions.isCompletion(complete(n)))).toEqual([false, true, true]);
  });
});
