import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SseFrameCutter } from '../../src/protocol/sse-frame-cutter.ts';
import {
  type EventId,
  HEARTBEAT,
  eventFrame,
  primingFrame,
  readEventId,
  retryFrame,
} from '../../src/protocol/sse-frames.ts';
import { MessageTexts, textOfDraft } from './message-texts.ts';

function utf8(text: string): Buffer {
  return Buffer.from(text);
}

/** The events in some bytes, as a client's parser sees them. */
function eventsOf(bytes: Buffer): { event: string | undefined; data: string }[] {
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => events.push({ event, data }) });
  parser.feed(bytes.toString());
  return events;
}

/** All that a client's parser makes of some bytes. */
function heardIn(frames: readonly Uint8Array[]): { ids: unknown[]; data: string[]; retries: number[] } {
  const heard = { ids: [] as unknown[], data: [] as string[], retries: [] as number[] };
  const parser = createParser({
    onEvent: ({ id, data }) => {
      heard.ids.push(id);
      heard.data.push(data);
    },
    onRetry: (ms) => heard.retries.push(ms),
    onError: (fault) => {
      throw fault;
    },
  });
  parser.feed(Buffer.concat(frames).toString());
  return heard;
}

/** The same by our own reader of upstream streams. */
function messagesOf(bytes: Buffer): string[] {
  const messages: string[] = [];
  const cutter = new SseFrameCutter(
    {
      message: (data) => messages.push(Buffer.from(data).toString()),
      rest: (frame) => messages.push(`rest: ${Buffer.from(frame).toString()}`),
      comment: () => messages.push('comment'),
    },
    { maxMessageBytes: 1 << 24 },
  );
  cutter.push(bytes);
  return messages;
}

function framed(...chunks: string[]): Buffer {
  return Buffer.concat(eventFrame(chunks.map(utf8)));
}

test('a message is one event of the type message', () => {
  expect(framed('{"a":', '1}').toString()).toBe('event: message\ndata: {"a":1}\n\n');
});

test('a heartbeat is a comment, and no event', () => {
  expect(Buffer.from(HEARTBEAT).toString()).toMatch(/^:[^\r\n]*\n\n$/);
  expect(eventsOf(Buffer.from(HEARTBEAT))).toEqual([]);
});

describe('a message is exactly one event, and the same JSON, with', () => {
  test.each<[what: string, json: string]>([
    ['line feeds between tokens', '{\n"a"\n:\n1\n}\n'],
    ['carriage returns between tokens', '{\r"a"\r:\r1\r}'],
    ['both', '\r\n\r\n{\r\n\r\n"a":1\n\r}\r\n\r\n'],
    ['empty lines between tokens', '{"a":\n\n\n\n1\r\n\r\n}'],
    ['escaped line ends', '{"a":"\\n\\n\\r\\r\\u000a\\u000d"}'],
    ['a line separator in a string', '{"a":"\u2028\u2029\u0085"}'],
    ['an escaped NUL', '{"a":"\\u0000"}'],
    ['field names in a string', '{"a":"data: x","event":"id: 1","retry":1}'],
    ['a space in front', '  {"a":1}'],
    ['a byte order mark in a string', '{"\ufeff":"\ufeff"}'],
    ['text of four bytes', '{"😀":"😀"}'],
    ['nothing else', '{}'],
  ])('%s', (_what, json) => {
    const expected: unknown = JSON.parse(json);
    const frame = framed(json);

    expect(eventsOf(frame).map(({ event, data }) => [event, JSON.parse(data)])).toEqual([['message', expected]]);
    expect(messagesOf(frame).map((data): unknown => JSON.parse(data))).toEqual([expected]);
  });

  test('any white space, in any pieces: the two parsers agree on every byte', () => {
    const message = fc.integer().map((seed) => textOfDraft(new MessageTexts(seed).draft()));
    const lineEnds = fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\n\r', ' \n ', '\t\r');

    fc.assert(
      fc.property(
        message,
        fc.array(fc.tuple(fc.nat(), lineEnds)),
        fc.array(fc.nat(), { maxLength: 4 }),
        (text, ends, cuts) => {
          // A line end goes where white space may be: before or after the whole, or around a bracket that is in no string.
          const json = ends.reduce((spaced, [where, end]) => withSpace(spaced, where, end), text);
          const bytes = utf8(json);
          const at = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
          const chunks = [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
          const frame = Buffer.concat(eventFrame(chunks));

          const [event, second] = eventsOf(frame);
          expect(second).toBeUndefined();
          expect(event?.event).toBe('message');
          expect(messagesOf(frame)).toEqual([event?.data]);
          expect(JSON.parse(event?.data ?? '')).toEqual(JSON.parse(json));
          // Not a byte is different but those of line ends.
          expect(event?.data).toBe(json.replaceAll(/[\r\n]/g, ' '));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test('the message itself is not written to: others may still read it', () => {
  const bytes = utf8('{\n"a":1\r}');
  const before = Buffer.from(bytes);

  eventFrame([bytes]);

  expect(bytes.equals(before)).toBe(true);
});

test('pieces without line ends are passed on as they are, not copied', () => {
  const piece = utf8('{"a":1}');

  expect(eventFrame([piece])).toContain(piece);
});

describe('where an event stands', () => {
  test('is said by its id, in front of what it is', () => {
    expect(Buffer.concat(eventFrame([utf8('{"a":1}')], { stream: 3, seq: 12 })).toString()).toBe(
      'id: 3.12\nevent: message\ndata: {"a":1}\n\n',
    );
  });

  test('is not said where no id is given: an id means that the client can come back for more', () => {
    expect(framed('{"id":"1.1"}').toString()).not.toMatch(/^id/m);
  });

  test('is read back from what a client has seen, and every message is still one event', () => {
    const number = fc.integer({ min: 1, max: 1e15 - 1 });

    fc.assert(
      fc.property(number, number, fc.json(), (stream, seq, json) => {
        const { ids, data } = heardIn(eventFrame([utf8(json)], { stream, seq }));

        expect(data).toEqual([json]);
        expect(readEventId(String(ids[0]))).toEqual({ stream, seq });
      }),
    );
  });

  test.each<[text: string, id: EventId]>([
    ['1.0', { stream: 1, seq: 0 }],
    ['1.1', { stream: 1, seq: 1 }],
    ['20.300', { stream: 20, seq: 300 }],
    ['999999999999999.999999999999999', { stream: 1e15 - 1, seq: 1e15 - 1 }],
  ])('%s is an id', (text, id) => {
    expect(readEventId(text)).toEqual(id);
  });

  test.each([
    '',
    '.',
    '1',
    '1.',
    '.1',
    '0.1',
    '01.1',
    '1.01',
    '1.00',
    '-1.1',
    '1.-1',
    '+1.1',
    '1.1.1',
    '1,1',
    '1-1',
    ' 1.1',
    '1.1 ',
    '1.1\n',
    '1.1\n2.2',
    '1. 1',
    '1e3.1',
    '1.1e3',
    '0x1.1',
    '１.１',
    '١.١',
    '1.1\u0000',
    '1.1, 1.1',
    'NaN.1',
    'Infinity.1',
    'constructor.1',
    '1000000000000000.1',
    '1.1000000000000000',
    '../../1.1',
  ])('%j is none of ours', (text) => {
    expect(readEventId(text)).toBeNull();
  });

  test('nor is anything longer than an id can be', () => {
    for (const text of ['9'.repeat(5000), `${'9'.repeat(400)}.1`, `1.${'0'.repeat(1e6)}`]) {
      expect(readEventId(text)).toBeNull();
    }
  });

  test('no text but the one that we write for an id is read as it', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9.+\-e, ]{0,12}$/), (text) => {
        const id = readEventId(text);
        if (id !== null) expect(`${id.stream}.${id.seq}`).toBe(text);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('what primes a client to come back', () => {
  test('is an event with an id and empty data, and says after how long [D1]', () => {
    const frame = primingFrame({ stream: 7, seq: 0 }, 1500);

    expect(Buffer.from(frame).toString()).toBe('id: 7.0\nretry: 1500\ndata: \n\n');
    expect(heardIn([frame])).toEqual({ ids: ['7.0'], data: [''], retries: [1500] });
  });

  test('is read back as the place before the first event', () => {
    const [id] = heardIn([primingFrame({ stream: 7, seq: 0 }, 1)]).ids;

    expect(readEventId(String(id))).toEqual({ stream: 7, seq: 0 });
  });
});

test('a client is sent away with the time after which it may come back, and no event [D2]', () => {
  expect(Buffer.from(retryFrame(250)).toString()).toBe('retry: 250\n\n');
  expect(heardIn([retryFrame(250)])).toEqual({ ids: [], data: [], retries: [250] });
});

test('frames one after the other are told apart', () => {
  const frames = [
    primingFrame({ stream: 1, seq: 0 }, 10),
    HEARTBEAT,
    ...eventFrame([utf8('{"a":1}')], { stream: 1, seq: 1 }),
    ...eventFrame([utf8('{"a":2}')], { stream: 1, seq: 2 }),
    retryFrame(20),
  ];

  expect(heardIn(frames)).toEqual({ ids: ['1.0', '1.1', '1.2'], data: ['', '{"a":1}', '{"a":2}'], retries: [10, 20] });
});

/** The text with one more piece of white space between two of its tokens. */
function withSpace(json: string, where: number, space: string): string {
  const places = [0, json.length];
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at] ?? '';
    if (char === '"') inString = !inString;
    else if (inString && char === '\\') at++;
    else if (!inString && '{}[],:'.includes(char)) places.push(at, at + 1);
  }
  const at = places[where % places.length] ?? 0;
  return json.slice(0, at) + space + json.slice(at);
}
