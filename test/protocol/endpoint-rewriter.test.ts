import { type EventSourceMessage, createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProxyError } from '../../src/domain/errors.ts';
import { EndpointRewriter } from '../../src/protocol/endpoint-rewriter.ts';
import { FRAMINGS } from '../support/frameworks.ts';

/** As the gateway does, with a seal that can be read. */
const ours = (announced: string): string => `/ours?${Buffer.from(announced).toString('hex')}`;

function announce(announced: string): string {
  if (announced.includes('\n')) throw new ProxyError('endpoint_refused', 'two lines');
  return ours(announced);
}

/** What has gone on, and whether the stream was ended. */
function rewritten(chunks: readonly Buffer[]): { readonly text: string; readonly refused: string | null } {
  const rewriter = new EndpointRewriter(announce);
  const passed: Buffer[] = [];
  try {
    for (const chunk of chunks) passed.push(...rewriter.push(chunk));
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    return { text: Buffer.concat(passed).toString('latin1'), refused: thrown.code };
  }
  return { text: Buffer.concat(passed).toString('latin1'), refused: null };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const byteByByte = (text: string): Buffer[] => Array.from(bytes(text), (byte) => Buffer.of(byte));

test.each(FRAMINGS)('of $name only the announced URL is changed', ({ stream, endpoint }) => {
  const text = Buffer.from(stream).toString('latin1');

  const expected = { text: text.replace(endpoint, ours(endpoint)), refused: null };

  expect(rewritten([bytes(text)])).toEqual(expected);
  expect(rewritten(byteByByte(text))).toEqual(expected);
});

const FIRST = 'event: endpoint\ndata: /m\n\n';
const FIRST_OURS = `event: endpoint\ndata: ${ours('/m')}\n\n`;

test.each<readonly [what: string, stream: string, passed: string]>([
  ['a bare data line', 'event: endpoint\ndata\n\n', `event: endpoint\ndata: ${ours('')}\n\n`],
  ['an empty value', 'event:endpoint\ndata:\n\n', `event:endpoint\ndata:${ours('')}\n\n`],
  ['a value that begins with a space', 'event: endpoint\ndata:  /m\n\n', `event: endpoint\ndata: ${ours(' /m')}\n\n`],
  ['lone CRs', 'event: endpoint\rdata: /m\r\r', `event: endpoint\rdata: ${ours('/m')}\r\r`],
  [
    'a BOM',
    '\u00ef\u00bb\u00bfdata: /m\nevent: endpoint\n\n',
    `\u00ef\u00bb\u00bfdata: ${ours('/m')}\nevent: endpoint\n\n`,
  ],
  [
    'other fields in the frame',
    'id: 7\nevent: endpoint\n: x\ndata: /m\nretry: 5\n\n',
    `id: 7\nevent: endpoint\n: x\ndata: ${ours('/m')}\nretry: 5\n\n`,
  ],
  [
    'a type that is taken back',
    'event: endpoint\nevent: other\ndata: /m\n\n',
    'event: endpoint\nevent: other\ndata: /m\n\n',
  ],
  ['an endpoint event without data', `event: endpoint\n\n${FIRST}`, `event: endpoint\n\n${FIRST_OURS}`],
  ['frames before it', `: hello\n\nevent: x\ndata: /m\n\n${FIRST}`, `: hello\n\nevent: x\ndata: /m\n\n${FIRST_OURS}`],
  ['types that are longer', `event: endpoints\ndata: /m\n\n${FIRST}`, `event: endpoints\ndata: /m\n\n${FIRST_OURS}`],
  ['a second one', FIRST + FIRST, FIRST_OURS + FIRST_OURS],
  [
    'messages behind it',
    `${FIRST}data: {"a":"\u00c3\u00a4"}\r\n\r\n: c\rid: 1\n\n`,
    `${FIRST_OURS}data: {"a":"\u00c3\u00a4"}\r\n\r\n: c\rid: 1\n\n`,
  ],
  [
    'a BOM in mid-stream',
    `${FIRST}\u00ef\u00bb\u00bfevent: endpoint\ndata: /m\n\n`,
    `${FIRST_OURS}\u00ef\u00bb\u00bfevent: endpoint\ndata: /m\n\n`,
  ],
])('%s', (_, stream, passed) => {
  expect(rewritten([bytes(stream)])).toEqual({ text: passed, refused: null });
  expect(rewritten(byteByByte(stream))).toEqual({ text: passed, refused: null });
});

/** As a client reads that takes blanks from around lines, names and values. */
function looseEvents(text: string): EventSourceMessage[] {
  const lines = text.split(/\r\n|\n|\r/).map((line) => line.trim().replace(/^(\w+)\s*:\s*/, '$1:'));
  return events(lines.join('\n'));
}

test.each([
  'event:  endpoint\ndata: /m\n\n',
  'event: endpoint \ndata: /m\n\n',
  'event:\tendpoint\ndata: /m\n\n',
  'event :endpoint\ndata :/m\n\n',
  ' event: endpoint\n data: /m\n\n',
  'event: \u000b endpoint\u0000\ndata: /m\n\n',
  `event:${' '.repeat(500)}endpoint${' '.repeat(500)}\ndata: /m\n\n`,
  'event: endpoint\n event: message\ndata: /m\n\n',
  'event: message\n event: endpoint\ndata: /m\n\n',
  'data: /m\nevent: endpoint \n\n',
])('an endpoint event to a client that overlooks blanks is one here, the first and the second: %j', (frame) => {
  for (const stream of [frame + FIRST, FIRST + frame]) {
    const inOne = rewritten([bytes(stream)]);
    const inMany = rewritten(byteByByte(stream));

    expect(inMany.refused).toBe(inOne.refused);
    for (const { text } of [inOne, inMany]) {
      const urls = [...events(text), ...looseEvents(text)].filter(({ event }) => event === 'endpoint');
      expect(urls.every(({ data }) => data.startsWith('/ours?'))).toBe(true);
    }
  }
});

test.each([
  'event: end-point \ndata: /m\n\n',
  'event: endpoint2 \ndata: /m\n\n',
  'event:  message\ndata:  {"a": 1} \n\n',
])('nothing else is changed for their sake: %j', (frame) => {
  expect(rewritten([bytes(FIRST + frame)])).toEqual({ text: FIRST_OURS + frame, refused: null });
});

test('bytes behind the endpoint event go on at once, complete or not', () => {
  const rewriter = new EndpointRewriter(announce);
  rewriter.push(bytes(FIRST));

  for (const part of [
    'da',
    'ta: {"a"',
    ':1}',
    '\r',
    '\n',
    '\r',
    '\n',
    ': c',
    'omment\n',
    'event: en',
    'dpoint2\n',
    '\n',
  ]) {
    expect(Buffer.concat(rewriter.push(bytes(part))).toString('latin1')).toBe(part);
  }
});

test('frames before the endpoint event go on as soon as they are complete', () => {
  const rewriter = new EndpointRewriter(announce);

  expect(rewriter.push(bytes(': hel'))).toEqual([]);
  expect(rewriter.push(bytes('lo\r\n'))).toEqual([]);
  expect(Buffer.concat(rewriter.push(bytes('\r'))).toString()).toBe(': hello\r\n\r');
  expect(Buffer.concat(rewriter.push(bytes('\n'))).toString()).toBe('\n');
});

test('what is behind the endpoint event is passed on as views, whatever its size', () => {
  const rewriter = new EndpointRewriter(announce);
  rewriter.push(bytes(FIRST));
  const large = Buffer.concat([bytes('data: '), Buffer.alloc(1 << 20, 'x'), bytes('\n\n')]);

  const passed = rewriter.push(large);

  expect(Buffer.concat(passed).equals(large)).toBe(true);
  expect(passed.every((piece) => piece.buffer === large.buffer)).toBe(true);
});

test.each<readonly [what: string, stream: string, reason: string]>([
  ['a URL of two lines', 'event: endpoint\ndata: /m\ndata: /n\n\n', 'endpoint_refused'],
  ['a second one whose type comes behind its data', `${FIRST}data: /n\nevent: endpoint\n\n`, 'endpoint_refused'],
  ['an event without end in its place', `data: ${'x'.repeat(70_000)}`, 'endpoint_missing'],
  ['comments without end in its place', ': x\n'.repeat(20_000), 'endpoint_missing'],
  ['a second one without end', `${FIRST}event: endpoint\ndata: ${'x'.repeat(70_000)}`, 'endpoint_missing'],
])('%s ends the stream, and nothing of it means anything to the client', (_, stream, reason) => {
  const { text, refused } = rewritten(byteByByte(stream));

  expect(refused).toBe(reason);
  expect(events(text).filter(({ event }) => event === 'endpoint')).toEqual(
    events(stream.startsWith(FIRST) ? FIRST_OURS : ''),
  );
});

function events(text: string): EventSourceMessage[] {
  const all: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => all.push(event) });
  parser.feed(text);
  return all;
}

test('however the stream is written and cut: the client reads what the upstream says, and no URL but ours', () => {
  const line = fc.constantFrom(
    'event: endpoint',
    'event:endpoint',
    'event:  endpoint ',
    ' event: endpoint',
    'event: message',
    'event',
    ' data: /o',
    'data: /m',
    'data:/n',
    'data',
    'datax: 1',
    'id: 1',
    ': comment',
    '',
    '',
    '',
  );
  const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 24 });
  fc.assert(
    fc.property(stream, fc.infiniteStream(fc.integer({ min: 1, max: 12 })), (lines, sizes) => {
      // The last frame is closed for both, so that all readers agree where it ends.
      const text = `${lines.map(([each, end]) => each + end).join('')}\n\n: end\n\n`;
      const chunks: Buffer[] = [];
      for (let at = 0; at < text.length;) {
        const size = sizes.next().value ?? 1;
        chunks.push(bytes(text.slice(at, at + size)));
        at += size;
      }

      const [inOne, inMany] = [rewritten([bytes(text)]), rewritten(chunks)];
      const said = events(text);
      const heard = events(inMany.text);
      const heardLoosely = looseEvents(inMany.text);

      expect(inMany.refused).toBe(inOne.refused);
      if (inMany.refused === null) expect(inMany.text).toBe(inOne.text);
      // What is an endpoint event to a client that overlooks blanks is one for all.
      const isOurs = (index: number): boolean => heard[index]?.data.startsWith('/ours?') === true;
      const shown = said.map((each, index) =>
        each.event === 'endpoint' || isOurs(index) ? { ...each, data: ours(each.data) } : each,
      );
      expect(heard).toEqual(inMany.refused === null ? shown : shown.slice(0, heard.length));
      expect(
        [...heard, ...heardLoosely].every(({ event, data }) => event !== 'endpoint' || data.startsWith('/ours?')),
      ).toBe(true);
    }),
    { numRuns: 3000 },
  );
});
