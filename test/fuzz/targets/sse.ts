// Event streams: what we read of an upstream's, what we write to clients, and what old clients get. Held against two other
// readers: the parser that browsers' clients use, and one that is nothing but the standard, sentence by sentence.

import { createParser } from 'eventsource-parser';
import { ProxyError } from '../../../src/domain/errors.ts';
import { EndpointRewriter } from '../../../src/protocol/endpoint-rewriter.ts';
import { SseFrameCutter } from '../../../src/protocol/sse-frame-cutter.ts';
import { eventFrame, readEventId } from '../../../src/protocol/sse-frames.ts';
import { seeded } from '../../support/seeded.ts';
import { type Target, must, same } from '../target.ts';

/** Bytes as Latin-1, so that nothing is lost on the way to a comparison. */
interface Event {
  readonly type: string;
  readonly data: string;
}

// oxlint-disable-next-line no-control-regex -- as lax readers have it
const BLANKS = /[\u0000-\u0020]+/g;
const PLENTY = 1 << 20;
const LITTLE = 48;
const OURS = '/ours?1';

export const SSE: Target = {
  words: [
    'data: ',
    'data:',
    'data',
    'event: ',
    'event:endpoint',
    'event: message',
    'event: ping',
    'id: 1',
    'retry: 0',
    ': ',
    '\n\n',
    '\r\n\r\n',
    '\r\r',
    '\r\n',
    '\ufeff',
    '\u2028',
    '{"jsonrpc":"2.0","id":1}',
    'endpoint',
  ],
  check(input) {
    const chunks = piecesOf(input);
    const told = cut([input], PLENTY);
    same(cut(chunks, PLENTY), told, 'where the chunks end makes a difference');
    const events = told.events.map(({ type, data }) => ({ type: type === 'ping' ? 'message' : type, data }));
    same(events, eventsByTheStandard(input).filter(isHeard).map(asMessage), 'another reading than the standard’s');
    same(events, eventsByLibrary(input).filter(isHeard).map(asMessage), 'another reading than eventsource-parser’s');

    const few = cut(chunks, LITTLE);
    same(few, cut([input], LITTLE), 'with a small limit the chunks make a difference');
    same(few.events, told.events.slice(0, few.events.length), 'a limit changes what comes before it');
    must(
      few.events.every(({ data }) => data.length <= LITTLE),
      'more than the limit allows',
    );

    isOneEvent(chunks, input);
    const passed = rewritten(chunks);
    same(passed, rewritten([input]), 'for old clients the chunks make a difference');
    if (passed.refused === null) isRewritten(input, passed.text);
    eventIdIsExact(input.toString('latin1'));
    const types = new Set(events.map(({ type, data }) => `${type.slice(0, 8)}${data.includes('\n')}`));
    return `${Math.min(told.events.length, 5)}${few.isDead}${passed.refused}${[...types].slice(0, 3).join()}`;
  },
};

function cut(chunks: readonly Buffer[], maxMessageBytes: number): { events: Event[]; isDead: boolean } {
  const events: Event[] = [];
  const cutter = new SseFrameCutter(
    {
      message: (data) => events.push({ type: 'message', data: latin1(data) }),
      rest: (frame) => events.push(...eventsByTheStandard(Buffer.from(frame))),
      comment: () => {},
    },
    { maxMessageBytes },
  );
  return { events, isDead: !chunks.every((chunk) => cutter.push(chunk)) };
}

/** [HTML 9.2.6] "interpreting an event stream", with nothing of our own in it. */
function eventsByTheStandard(stream: Buffer): Event[] {
  const text = latin1(stream).replace(/^\u00ef\u00bb\u00bf/, '');
  // "lines that are [...] terminated": what comes behind the last end is no line yet.
  const lines = text.split(/\r\n|\n|\r/).slice(0, -1);
  const events: Event[] = [];
  let [type, data] = ['', ''];
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events.push({ type: type === '' ? 'message' : type, data: data.slice(0, -1) });
      [type, data] = ['', ''];
      continue;
    }
    if (line.startsWith(':')) continue;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') type = value;
    else if (field === 'data') data += `${value}\n`;
  }
  return events;
}

/** It takes text; Latin-1 in, Latin-1 out, with the BOM that its decoder would have taken away. */
function eventsByLibrary(stream: Buffer): Event[] {
  const events: Event[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ type: event === undefined || event === '' ? 'message' : event, data }),
  });
  parser.feed(latin1(stream).replace(/^\u00ef\u00bb\u00bf/, ''));
  return events;
}

/** A message without data is none, nor is a ping; any other event without data is one still. */
const isHeard = ({ type, data }: Event): boolean => data !== '' || (type !== 'message' && type !== 'ping');
const asMessage = ({ type, data }: Event): Event => ({ type: type === 'ping' ? 'message' : type, data });

/** Whatever a message holds, a client hears one event, with that in it. */
function isOneEvent(chunks: readonly Buffer[], message: Buffer): void {
  const frame = Buffer.concat(eventFrame(chunks, { stream: 3, seq: 7 }));
  const expected = [{ type: 'message', data: latin1(message).replaceAll(/[\r\n]/g, ' ') }];
  same(eventsByTheStandard(frame), expected, 'not one event by the standard');
  same(eventsByLibrary(frame), expected, 'not one event by eventsource-parser');
}

/** As endpoint-url.ts has it: a URL of several lines is none. */
function announce(announced: string): string {
  if (announced.includes('\n')) throw new ProxyError('endpoint_refused', 'two lines');
  return OURS;
}

function rewritten(chunks: readonly Buffer[]): { readonly text: string; readonly refused: string | null } {
  const rewriter = new EndpointRewriter(announce);
  const passed: Buffer[] = [];
  try {
    for (const chunk of chunks) passed.push(...rewriter.push(chunk));
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    // How much of the last chunk went before is chance.
    return { text: '', refused: thrown.code };
  }
  return { text: latin1(Buffer.concat(passed)), refused: null };
}

/** The client sees the same events, but no URL of the upstream’s. */
function isRewritten(input: Buffer, text: string): void {
  const seen = eventsByTheStandard(Buffer.from(text, 'latin1'));
  for (const { type, data } of seen) must(type !== 'endpoint' || data === OURS, `an endpoint of its own: ${data}`);
  if (isLax(latin1(input))) return;
  const expected = eventsByTheStandard(input).map((event) =>
    event.type === 'endpoint' ? { ...event, data: OURS } : event,
  );
  same(seen, expected, 'for old clients another stream');
}

/** It holds lines that say more to a reader who takes blanks away: those are changed for him. */
function isLax(text: string): boolean {
  return text.split(/[\r\n]/).some((line) => {
    const bare = line.replace(/^\u00ef\u00bb\u00bf/, '').replaceAll(BLANKS, '');
    return /^(?:data|event)(?::|$)/.test(bare) && line.replace(/(?<=^[a-z]+:) /, '') !== bare;
  });
}

function eventIdIsExact(text: string): void {
  const id = readEventId(text);
  if (id !== null) same(text, `${id.stream}.${id.seq}`, 'an event id that is written otherwise');
}

/** Cut at places that depend on the bytes alone. */
function piecesOf(input: Buffer): Buffer[] {
  const chance = seeded(input.reduce((hash, byte) => (hash * 31 + byte) >>> 0, input.length));
  const pieces: Buffer[] = [];
  for (let at = 0; at < input.length;) {
    const end = at + 1 + chance.below(chance.below(4) === 0 ? 3 : 40);
    pieces.push(input.subarray(at, end));
    at = end;
  }
  return pieces;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
