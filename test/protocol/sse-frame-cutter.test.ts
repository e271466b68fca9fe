import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SseFrameCutter } from '../../src/protocol/sse-frame-cutter.ts';
import { FRAMINGS } from '../support/frameworks.ts';

type Told = { readonly message: string } | { readonly rest: string } | 'comment' | 'dead';

const PLENTY = 1 << 20;

/** What is told, in order, with the bytes as latin1, so that nothing is lost on the way to a comparison. */
function cut(chunks: readonly Uint8Array[], maxMessageBytes = PLENTY): Told[] {
  const told: Told[] = [];
  const cutter = new SseFrameCutter(
    {
      message: (data) => told.push({ message: latin1(data) }),
      rest: (frame) => told.push({ rest: latin1(frame) }),
      comment: () => told.push('comment'),
    },
    { maxMessageBytes },
  );
  for (const chunk of chunks) {
    if (!cutter.push(chunk)) {
      told.push('dead');
      break;
    }
  }
  return told;
}

function latin1(raw: Uint8Array): string {
  return Buffer.from(raw).toString('latin1');
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function byteByByte(stream: Uint8Array): Uint8Array[] {
  return Array.from(stream, (byte) => Uint8Array.of(byte));
}

function messages(told: readonly Told[]): string[] {
  return told.flatMap((one) => (typeof one === 'object' && 'message' in one ? [one.message] : []));
}

test.each(FRAMINGS)('reads the frames of $name', ({ stream, endpoint, messages: expected, comments }) => {
  const told = cut([bytes(stream)]);

  expect(messages(told)).toEqual(expected);
  expect(told).toContainEqual({ rest: `event: endpoint\ndata: ${endpoint}\n\n` });
  expect(told.filter((one) => one === 'comment')).toHaveLength(comments);
});

test.each(FRAMINGS)('reads the same from $name byte by byte', ({ stream }) => {
  expect(cut(byteByByte(bytes(stream)))).toEqual(cut([bytes(stream)]));
});

test.each<readonly [rule: string, stream: string, told: readonly Told[]]>([
  ['an absent type is a message', 'data: a\n\n', [{ message: 'a' }]],
  ['an empty type is a message', 'event: x\nevent\ndata: a\n\n', [{ message: 'a' }]],
  ['the last event field wins', 'event: x\nevent: message\ndata: a\n\n', [{ message: 'a' }]],
  [
    'a type lasts for one frame',
    'event: x\ndata: a\n\ndata: b\n\n',
    [{ rest: 'event: x\ndata: a\n\n' }, { message: 'b' }],
  ],
  ['a type without data does not reach the next frame', 'event: x\n\ndata: a\n\n', ['comment', { message: 'a' }]],
  ['a type may come after the data', 'data: a\nevent: x\n\n', [{ rest: 'event: x\ndata: a\n\n' }]],
  ['types are case-sensitive', 'event: Message\ndata: a\n\n', [{ rest: 'event: Message\ndata: a\n\n' }]],
  ['field names are case-sensitive', 'Data: a\nEVENT: x\n\n', ['comment']],
  ['only one space is left out', 'data:  a\n\n', [{ message: ' a' }]],
  ['no space is needed', 'data:a\n\n', [{ message: 'a' }]],
  ['a space before the name makes it unknown', ' data: a\n\n', ['comment']],
  ['a space behind the name makes it unknown', 'data : a\n\n', ['comment']],
  ['data lines are joined by LF', 'data: a\r\ndata:\r\ndata: b\r\n\r\n', [{ message: 'a\n\nb' }]],
  ['data needs no colon', 'data: a\ndata\n\n', [{ message: 'a\n' }]],
  ['two empty data lines are one LF', 'data\ndata:\n\n', [{ message: '\n' }]],
  ['an empty message is dispatched to nobody', 'data:\n\n', ['comment']],
  ['a ping without data is dispatched to nobody', 'event: ping\ndata:\n\n', ['comment']],
  ['a ping with data is a message', 'event: ping\ndata: {}\n\n', [{ message: '{}' }]],
  ['another event may have empty data', 'event: x\ndata\n\n', [{ rest: 'event: x\ndata: \n\n' }]],
  ['the rest keeps its data lines', 'event: x\ndata: a\ndata: b\n\n', [{ rest: 'event: x\ndata: a\ndata: b\n\n' }]],
  [
    'id, retry and unknown fields are never handed on',
    'id: 7\nretry: 0\nfoo: x\nevent: x\ndata: a\n\n',
    [{ rest: 'event: x\ndata: a\n\n' }],
  ],
  ['a frame of ignored fields only shows life', 'id: 7\nretry: 0\nfoo\n\n', ['comment']],
  ['each comment line is told, its blank line is not', ': a\n:\n\n', ['comment', 'comment']],
  ['a comment within a frame does not end it', 'data: a\n: c\ndata: b\n\n', ['comment', { message: 'a\nb' }]],
  ['one leading BOM is skipped', '\xef\xbb\xbfdata: a\n\n', [{ message: 'a' }]],
  ['a second BOM is part of the line', '\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n', ['comment']],
  ['a BOM in the middle is part of the line', 'data: a\n\n\xef\xbb\xbfdata: b\n\n', [{ message: 'a' }, 'comment']],
  ['half a BOM is part of the line', '\xef\xbbdata: a\n\ndata: b\n\n', ['comment', { message: 'b' }]],
  ['half a BOM may be a whole line', '\xef\ndata: b\n\n', [{ message: 'b' }]],
  ['CR ends a line', 'event: x\rdata: a\r\r', [{ rest: 'event: x\ndata: a\n\n' }]],
  [
    'line ends may be mixed',
    'event: x\r\ndata: a\rdata: b\n\rdata: c\n\r\n',
    [{ rest: 'event: x\ndata: a\ndata: b\n\n' }, { message: 'c' }],
  ],
  ['LF CR is two line ends', 'data: a\n\rdata: b\n\r', [{ message: 'a' }, { message: 'b' }]],
  ['an unfinished frame is discarded', 'data: a\n\ndata: b\n', [{ message: 'a' }]],
  [
    'bytes of the data are left alone',
    'data: \x00\xff\xe2\x80\xa8\xc0\x85\xf4\n\n',
    [{ message: '\x00\xff\xe2\x80\xa8\xc0\x85\xf4' }],
  ],
])('%s', (_rule, stream, told) => {
  expect(cut([bytes(stream)])).toEqual(told);
  expect(cut(byteByByte(bytes(stream)))).toEqual(told);
});

test('a frame that ends in a lone CR is complete at once, and the LF after it is swallowed', () => {
  const told: string[] = [];
  const cutter = new SseFrameCutter(
    { message: (data) => told.push(latin1(data)), rest: () => told.push('rest'), comment: () => told.push('comment') },
    { maxMessageBytes: PLENTY },
  );

  cutter.push(bytes('data: a\r\n\r'));
  expect(told).toEqual(['a']);

  cutter.push(bytes(''));
  cutter.push(bytes('\ndata: b\r'));
  cutter.push(bytes('\r'));
  expect(told).toEqual(['a', 'b']);
});

test('a message that came whole in one chunk is a view of it', () => {
  const seen: Uint8Array[] = [];
  const cutter = new SseFrameCutter(
    { message: (data) => seen.push(data), rest: () => {}, comment: () => {} },
    { maxMessageBytes: PLENTY },
  );
  const chunk = bytes('event: message\r\ndata: {"id":1}\r\n\r\nevent: message\ndata: {"id":2}\n\n');

  cutter.push(chunk);

  expect(seen.map(latin1)).toEqual(['{"id":1}', '{"id":2}']);
  expect(seen.every((data) => data.buffer === chunk.buffer)).toBe(true);
});

test('a short piece of a long chunk does not keep the chunk in memory', () => {
  const seen: Uint8Array[] = [];
  const cutter = new SseFrameCutter(
    { message: (data) => seen.push(data), rest: () => {}, comment: () => {} },
    { maxMessageBytes: PLENTY },
  );

  cutter.push(Buffer.from(`:${'-'.repeat(65_536)}\ndata: a\n`));
  cutter.push(Buffer.from(`:${'-'.repeat(65_536)}\ndata: b`));
  cutter.push(bytes('\n\n'));

  expect(seen.map(latin1)).toEqual(['a\nb']);
  expect(seen[0]?.buffer.byteLength).toBeLessThan(65_536);
});

test('a large message in many chunks is glued in order', () => {
  const text = Array.from({ length: 40_000 }, (_, line) => `line ${line}`).join(' ');
  const stream = bytes(`data: ${text}\n\n`);

  for (const size of [100, 1460, 4096, 65_536]) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size) chunks.push(new Uint8Array(stream.subarray(at, at + size)));
    expect(cut(chunks)).toEqual([{ message: text }]);
  }
});

test.each([
  ['the data of one line', 'data: 12345678901\n\n'],
  ['a line that does not end', 'data: 12345678901'],
  ['data lines with the LF between them', 'data: 12345\ndata: 12345\n\n'],
  ['empty data lines', 'data\n'.repeat(12)],
  ['a comment that does not end', ':0123456789'],
  ['a finished comment', ':0123456789\n\n'],
  ['an unknown field', 'fo: 0123456789\n\n'],
  ['a line that is no field', '01234567890\n'],
  ['a type that does not end', 'event:x0123456789'],
  ['an unknown type with its data', 'event:1234\ndata: 1234567\n\n'],
  ['a comment after data', 'data: 12345678\n:89\n'],
])('%s may not exceed the limit', (_what, stream) => {
  const before = bytes('data: ok\n\n');

  expect(cut([before, bytes(stream)], 10)).toEqual([{ message: 'ok' }, 'dead']);
  expect(cut([before, ...byteByByte(bytes(stream))], 10)).toEqual([{ message: 'ok' }, 'dead']);
});

test.each([
  ['data', 'data: 1234567890\n\n'],
  ['data and the LF between its lines', 'data: 12345\ndata: 1234\n\n'],
  ['an unknown type and its data', 'event:1234\ndata: 123456\n\n'],
  ['comments and ignored lines that ended', ':12345678\nid: 12345\n'.repeat(50)],
])('%s may reach the limit', (_what, stream) => {
  expect(cut([bytes(stream)], 10)).not.toContain('dead');
  expect(cut(byteByByte(bytes(stream)), 10)).not.toContain('dead');
});

test('a dead cutter tells nothing more', () => {
  const told: string[] = [];
  const cutter = new SseFrameCutter(
    { message: (data) => told.push(latin1(data)), rest: () => told.push('rest'), comment: () => told.push('comment') },
    { maxMessageBytes: 10 },
  );

  expect(cutter.push(bytes('data: a\n\ndata: 12345678901\n\ndata: b\n\n'))).toBe(false);
  expect(cutter.push(bytes('data: c\n\n'))).toBe(false);
  expect(told).toEqual(['a']);
});

const anyLine = fc.oneof(
  fc.tuple(
    fc.constantFrom('data', 'event', 'id', 'retry', 'dat', 'datas', 'events', 'Data', ''),
    fc.constantFrom(':', ': ', ':  ', ''),
    fc.oneof(
      fc.constantFrom('', 'message', 'ping', 'endpoint', 'messages', '12', ' '),
      fc.string({ unit: 'grapheme' }),
    ),
  ),
  fc.tuple(fc.string({ unit: 'binary' })),
);
const anyStream = fc
  .tuple(
    fc.constantFrom('', '', '\ufeff'),
    fc.array(
      fc
        .oneof(
          { weight: 3, arbitrary: anyLine.map((parts) => Buffer.from(parts.join(''))) },
          { weight: 1, arbitrary: fc.uint8Array({ max: 255, maxLength: 12 }) },
          { weight: 2, arbitrary: fc.constant(Buffer.alloc(0)) },
        )
        .chain((line) =>
          fc
            .constantFrom('\n', '\r', '\r\n', '\n\n', '\r\n\r\n', '\r\r')
            .map((end) => Buffer.concat([line, Buffer.from(end)])),
        ),
      { maxLength: 25 },
    ),
  )
  .map(([bom, lines]) => Buffer.concat([Buffer.from(bom), ...lines]));
const anyCutStream = anyStream.chain((stream) =>
  fc
    .array(fc.nat(stream.length), { maxLength: 20 })
    .map((cuts) => [0, ...cuts.toSorted((a, b) => a - b), stream.length])
    .map((cuts) => cuts.slice(1).map((end, index) => stream.subarray(cuts[index], end))),
);

function eventsByLibrary(chunks: readonly Uint8Array[]): string[] {
  const events: string[] = [];
  const parser = createParser({
    onEvent: ({ event = 'message', data }) => events.push(`${event === 'ping' ? 'message' : event}|${data}`),
  });
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
  return events.filter((event) => event !== 'message|');
}

test('finds the events that eventsource-parser finds', () => {
  fc.assert(
    fc.property(anyCutStream, (chunks) => {
      const events = cut(chunks).flatMap((one) => {
        if (typeof one === 'string') return [];
        if ('rest' in one) return eventsByLibrary([bytes(one.rest)]);
        return [`message|${new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes(one.message))}`];
      });

      expect(events).toEqual(eventsByLibrary(chunks));
    }),
    { numRuns: 2000 },
  );
});

test('where the chunks are cut makes no difference, with the limit or without', () => {
  fc.assert(
    fc.property(anyCutStream, fc.constantFrom(20, 40, PLENTY), (chunks, limit) => {
      expect(cut(chunks, limit)).toEqual(cut([Buffer.concat(chunks)], limit));
    }),
    { numRuns: 2000 },
  );
});
