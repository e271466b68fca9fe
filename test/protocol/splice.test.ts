import { describe, expect, test } from 'vitest';
import { type Message, encode } from '../../src/protocol/json-rpc.ts';
import { type RewriteName, rewrite } from '../../src/protocol/rewrites.ts';
import { splice } from '../../src/protocol/splice.ts';
import { type Draft, type Field, MessageTexts, type Shape, textOfDraft } from './message-texts.ts';
import { read, textOfChunks } from './read.ts';
import { type Tree, type Wins, sameBut, treeOf } from './two-readers.ts';

interface Change {
  readonly rewrite: RewriteName;
  readonly field: Field;
  readonly path: readonly string[];
}

/** What is changed in each kind of message, and where a reader finds it. */
const CHANGES: Readonly<Record<Shape, readonly Change[]>> = {
  request: [
    { rewrite: 'requestId', field: 'id', path: ['id'] },
    { rewrite: 'requestProgressToken', field: 'metaToken', path: ['params', '_meta', 'progressToken'] },
  ],
  cancelled: [{ rewrite: 'cancelledRequestId', field: 'requestId', path: ['params', 'requestId'] }],
  progress: [{ rewrite: 'progressToken', field: 'progressToken', path: ['params', 'progressToken'] }],
  result: [
    { rewrite: 'answerId', field: 'id', path: ['id'] },
    { rewrite: 'negotiatedVersion', field: 'protocolVersion', path: ['result', 'protocolVersion'] },
  ],
  error: [{ rewrite: 'answerId', field: 'id', path: ['id'] }],
};

const NEW_VALUES: Readonly<Record<Field, readonly string[]>> = {
  id: ['1099511627775', '0', '"\\u0069d\\""', '""', '-3', '"id\\":1"'],
  metaToken: ['1099511627775', '1'],
  requestId: ['1099511627775', '1'],
  progressToken: ['"abc"', '0', '"\\ud800"', '1.0'],
  protocolVersion: ['"2025-11-25"'],
};

/** What is wrong with the rewriting of this message, or null. */
function faultOf(draft: Draft, turn: number): string | null {
  const text = textOfDraft(draft);
  const message = read(text);
  if (draft.twice !== null) {
    return message.kind === 'unreadable' && message.code === 'invalid_request' ? null : 'a duplicate was accepted';
  }
  if (message.kind === 'unreadable') return `refused: ${message.why}`;

  const hits = CHANGES[draft.shape].filter(({ field }) => draft.pieces.some((piece) => piece.field === field));
  const news = Object.fromEntries(
    hits.map(({ field }) => [field, NEW_VALUES[field][turn % NEW_VALUES[field].length] ?? '']),
  );
  const after = rewrittenText(message, draft.shape, (field) => news[field] ?? '7');
  if (after !== textOfDraft(draft, news)) return 'other bytes than those of the field changed';
  for (const wins of ['first', 'last'] satisfies Wins[]) {
    const expected = hits.map(({ path, field }): { path: readonly string[]; instead: Tree } => ({
      path,
      instead: treeOf(news[field] ?? '', wins),
    }));
    if (!sameBut(treeOf(text, wins), treeOf(after, wins), expected)) return `a ${wins}-wins reader sees something else`;
  }
  return null;
}

/** All rewrites of the shape are asked for; those whose field is not there must change nothing. */
function rewrittenText(message: Message, shape: Shape, valueOf: (field: Field) => string): string {
  const asked = Object.fromEntries(CHANGES[shape].map((change) => [change.rewrite, encode(valueOf(change.field))]));
  return textOfChunks(rewrite(message, asked));
}

test('a changed field is the same to every reader, and nothing else is touched: 100,000 messages', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const texts = new MessageTexts(seed);
  const seen = new Map<string, number>();

  for (let turn = 0; turn < 100_000; turn++) {
    const draft = texts.draft();
    const fault = faultOf(draft, turn);
    const kind = draft.twice === null ? draft.shape : `duplicate`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    if (fault !== null) throw new Error(`${fault} (seed ${seed}, message ${turn}): ${textOfDraft(draft)}`);
  }

  // The generator makes enough of everything for this test to mean something.
  for (const kind of ['request', 'cancelled', 'progress', 'result', 'error', 'duplicate']) {
    expect(seen.get(kind), kind).toBeGreaterThan(2000);
  }
}, 60_000);

test('the two readers disagree where a key is given twice, and only there', () => {
  const twice = '{"a":{"\\u0061":1.0,"a":2},"b":[true,null,"\\ud83d\\ude00\\n"]}';

  expect(sameBut(treeOf(twice, 'first'), treeOf(twice, 'last'), [])).toBe(false);
  expect(sameBut(treeOf('{"a":1,"b":[]}', 'first'), treeOf(' { "b" : [ ] , "a" : 1 } ', 'last'), [])).toBe(true);
  expect(sameBut(treeOf('{"a":1}', 'first'), treeOf('{"a":1.0}', 'first'), [])).toBe(false);
  expect(treeOf('["\\u00e9\\/\\"\\\\"]', 'first')).toEqual(['é/"\\']);
});

describe('splice', () => {
  const bytes = encode('0123456789');

  test.each<[what: string, edits: readonly [start: number, end: number, text: string][], after: string]>([
    ['nothing', [], '0123456789'],
    ['one span', [[2, 4, 'xyz']], '01xyz456789'],
    ['the whole', [[0, 10, 'x']], 'x'],
    [
      'both ends',
      [
        [0, 1, 'a'],
        [9, 10, 'b'],
      ],
      'a12345678b',
    ],
    [
      'neighbours',
      [
        [2, 4, 'a'],
        [4, 6, 'b'],
      ],
      '01ab6789',
    ],
    [
      'any order',
      [
        [8, 9, 'c'],
        [0, 1, 'a'],
        [4, 5, 'b'],
      ],
      'a123b567c9',
    ],
    ['an insertion', [[5, 5, '-']], '01234-56789'],
    ['a removal', [[5, 9, '']], '012349'],
  ])('replaces %s', (_what, edits, after) => {
    const parts = splice(
      bytes,
      edits.map(([start, end, text]) => ({ start, end, text: encode(text) })),
    );

    expect(textOfChunks(parts)).toBe(after);
  });

  test('copies nothing: the parts are views of the original and the new texts', () => {
    const text = encode('x');
    const parts = splice(bytes, [{ start: 2, end: 4, text }]);

    expect(parts.map(({ buffer }) => buffer)).toEqual([bytes.buffer, text.buffer, bytes.buffer]);
    expect(parts[0]?.buffer).toBe(bytes.buffer);
    expect(parts[1]).toBe(text);
  });

  test('refuses edits that overlap', () => {
    const edit = (start: number, end: number) => ({ start, end, text: encode('x') });

    expect(() => splice(bytes, [edit(0, 5), edit(4, 6)])).toThrow(RangeError);
    expect(() => splice(bytes, [edit(4, 6), edit(0, 10)])).toThrow(RangeError);
  });
});
