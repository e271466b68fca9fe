import { describe, expect, test } from 'vitest';
import { AnswerCheck, callBody, type Call } from '../../bench/answer-check.ts';
import { echoAnswerHead, echoAnswerTail, padding, progressNotification } from '../../bench/echo-tool.ts';

const CALL: Call = { id: 7, nonce: '1-2-3', size: 20, progress: 0, payload: 0 };

/** As the upstream writes it. */
function answer({ id, nonce, size, payload }: Call): Buffer {
  const head = echoAnswerHead(nonce, payload > 0 ? payload : undefined);
  return Buffer.from(head + padding(size) + echoAnswerTail(JSON.stringify(id)));
}

/** As a gateway of 2026-07-28 may write it. */
function reordered({ id, nonce, size }: Call): Buffer {
  const content = [{ type: 'text', text: `${nonce}:${padding(size)}` }];
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', content } }));
}

const progressOf = (call: Call, ...steps: readonly number[]): Buffer[] =>
  steps.map((step) => Buffer.from(progressNotification(JSON.stringify(call.id), step, call.progress)));

describe.each([
  ['as the upstream writes it', answer],
  ['in another order', reordered],
])('an answer %s', (_, write) => {
  // Checked after a right one, whose form is known from then on.
  const knowing = (): AnswerCheck => {
    const known = new AnswerCheck();
    expect(known.check(CALL, [write(CALL)]).kind).toBe('right');
    return known;
  };

  test('is right, before and after its form is known', () => {
    const known = knowing();
    const next: Call = { ...CALL, id: 'eight', nonce: '9-9-9', size: 300 };

    expect(known.check(next, [write(next)])).toEqual({ kind: 'right', progressLost: 0, misrouted: 0 });
  });

  test.each<[string, Partial<Call>]>([
    ['the answer of another call', { nonce: '1-2-4' }],
    ['another id', { id: 8 }],
    ['an id of another type', { id: '7' }],
    ['an id that begins alike', { id: 77 }],
    ['less padding', { size: 19 }],
    ['more padding', { size: 21 }],
  ])('is wrong with %s', (_what, change) => {
    expect(knowing().check(CALL, [write({ ...CALL, ...change })]).kind).toBe('wrong');
    expect(new AnswerCheck().check(CALL, [write({ ...CALL, ...change })]).kind).toBe('wrong');
  });

  test('is wrong with one byte of its padding changed', () => {
    const bytes = write(CALL);
    bytes[bytes.indexOf('bridge')] = 0x42;

    expect(knowing().check(CALL, [bytes]).kind).toBe('wrong');
  });

  test('is wrong with one byte lost, added, or cut off', () => {
    const bytes = write(CALL);
    const longer = Buffer.concat([bytes, bytes.subarray(-1)]);

    expect(knowing().check(CALL, [bytes.subarray(0, -1)]).kind).toBe('wrong');
    expect(knowing().check(CALL, [bytes.subarray(1)]).kind).toBe('wrong');
    expect(knowing().check(CALL, [longer]).kind).toBe('wrong');
  });
});

test('two answers that changed places are both wrong', () => {
  const other: Call = { ...CALL, id: '7', nonce: '1-3-3' };
  const check = new AnswerCheck();

  expect(check.check(CALL, [answer(other)]).kind).toBe('wrong');
  expect(check.check(other, [answer(CALL)]).kind).toBe('wrong');
});

test('a request that did not come whole is told by its answer', () => {
  const call: Call = { ...CALL, payload: 1000 };

  expect(new AnswerCheck().check(call, [answer(call)]).kind).toBe('right');
  expect(new AnswerCheck().check(call, [answer({ ...call, payload: 999 })]).kind).toBe('wrong');
  expect(new AnswerCheck().check(call, [answer({ ...call, payload: 0 })]).kind).toBe('wrong');
});

test('an error of the peer is an error, and nothing at all is one too', () => {
  const refused = Buffer.from('{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"busy"}}');

  expect(new AnswerCheck().check(CALL, [refused]).kind).toBe('error');
  expect(new AnswerCheck().check(CALL, []).kind).toBe('error');
  expect(new AnswerCheck().check({ ...CALL, id: '7' }, [refused]).kind).toBe('wrong');
});

describe('progress', () => {
  const call: Call = { ...CALL, progress: 3 };
  const told = (...before: readonly Buffer[]) => new AnswerCheck().check(call, [...before, answer(call)]);

  test('that came whole is right', () => {
    expect(told(...progressOf(call, 1, 2, 3))).toEqual({ kind: 'right', progressLost: 0, misrouted: 0 });
  });

  test.each([
    [[], 3],
    [[1, 3], 1],
    [[2], 2],
  ])('%j of three is counted as lost', (steps, progressLost) => {
    expect(told(...progressOf(call, ...steps))).toEqual({ kind: 'right', progressLost, misrouted: 0 });
  });

  test('of another call is misrouted, and not taken for its own', () => {
    const others = progressOf({ ...call, id: '7' }, 1, 2);

    expect(told(...others, ...progressOf(call, 1, 2, 3))).toEqual({ kind: 'right', progressLost: 0, misrouted: 2 });
    expect(told(...others)).toEqual({ kind: 'right', progressLost: 3, misrouted: 2 });
  });

  test('out of order, twice, or beyond its end is wrong', () => {
    expect(told(...progressOf(call, 2, 1)).kind).toBe('wrong');
    expect(told(...progressOf(call, 1, 1)).kind).toBe('wrong');
    expect(told(...progressOf(call, 4)).kind).toBe('wrong');
  });
});

test('the body of a call says what is asked, and its token is its id', () => {
  const call: Call = { ...CALL, id: 'x', progress: 2, payload: 5 };

  expect(JSON.parse(callBody(call, 'echo', '"a":1', ',"requestState":"s"'))).toEqual({
    jsonrpc: '2.0',
    id: 'x',
    method: 'tools/call',
    params: {
      name: 'echo',
      arguments: { nonce: '1-2-3', size: 20, progress: 2, payload: padding(5) },
      _meta: { a: 1, progressToken: 'x' },
      requestState: 's',
    },
  });
  expect(JSON.parse(callBody(CALL)).params).not.toHaveProperty('_meta');
});
