import { describe, expect, test } from 'vitest';
import { accepted, isJson } from '../../src/protocol/headers.ts';

describe('what a client accepts', () => {
  test.each<[header: string | undefined, takes: 'json' | 'stream' | 'both' | 'neither']>([
    [undefined, 'json'],
    ['', 'json'],
    ['  ', 'json'],
    ['application/json', 'json'],
    ['APPLICATION/JSON', 'json'],
    ['application/json; charset=utf-8', 'json'],
    ['application/*', 'json'],
    ['*/*', 'json'],
    ['*/*;q=0.1', 'json'],
    ['text/html, */*;q=0.8', 'json'],
    ['application/json,text/plain', 'json'],
    ['text/event-stream', 'stream'],
    ['Text/Event-Stream', 'stream'],
    ['text/event-stream;q=0.5', 'stream'],
    ['application/json, text/event-stream', 'both'],
    ['text/event-stream,application/json', 'both'],
    [' application/json ;q=1 , text/event-stream ; q = 0.001 ', 'both'],
    ['*/*, text/event-stream', 'both'],
    ['text/html', 'neither'],
    ['application/xml, text/plain', 'neither'],
    ['application/jsonp', 'neither'],
    ['application/json-seq', 'neither'],
    ['text/event-streams', 'neither'],
    ['application', 'neither'],
    [',', 'neither'],
    ['application/json;q=0', 'neither'],
    ['application/json;q=0.0', 'neither'],
    ['application/json; q=0.000', 'neither'],
    ['application/json;charset=utf-8;Q=0', 'neither'],
    ['*/*;q=0', 'neither'],
    ['text/event-stream;q=0, application/json', 'json'],
    ['application/json;q=0, text/event-stream', 'stream'],
    ['application/json;q=0.01, text/event-stream;q=0', 'json'],
    ['text/event-stream;q=0, */*', 'json'],
  ])('%j: %s', (header, takes) => {
    const { json, stream } = accepted(header);

    expect(json ? (stream ? 'both' : 'json') : stream ? 'stream' : 'neither').toBe(takes);
  });

  // [RFC 9110 12.5.1] "the most specific reference has precedence"
  test.each<[header: string, json: boolean]>([
    ['application/json;q=0, */*', false],
    ['*/*, application/json;q=0', false],
    ['application/*;q=0, */*', false],
    ['application/json, */*;q=0', true],
  ])('a type that is refused by name is not accepted by a wildcard: %s', (header, json) => {
    expect(accepted(header).json).toBe(json);
  });
});

describe('what counts as a JSON body', () => {
  test.each<[header: string | undefined, json: boolean]>([
    ['application/json', true],
    ['Application/JSON', true],
    [' application/json ', true],
    ['application/json;', true],
    ['application/json; charset=utf-8', true],
    ['application/json;charset=UTF-8', true],
    ['application/json; charset="utf-8"', true],
    ['application/json;charset=utf8', true],
    ['application/json; profile=x; charset=utf-8', true],
    ['application/json; profile="https://x.example/"', true],
    [undefined, false],
    ['', false],
    ['text/plain', false],
    ['text/plain;charset=utf-8', false],
    ['text/json', false],
    ['application/x-www-form-urlencoded', false],
    ['multipart/form-data; boundary=application/json', false],
    ['text/plain; application/json', false],
    ['application/jsonx', false],
    ['application/json-patch+json', false],
    ['application/problem+json', false],
    ['application/json, text/plain', false],
    ['application/json; charset=utf-16', false],
    ['application/json; charset=iso-8859-1', false],
    ['application/json; charset=latin1; charset=utf-8', false],
    ['application/json; charset=utf-8; charset=utf-16', false],
    ['application/json; charset=', false],
    ['application/json; charset', false],
  ])('%j: %s', (header, json) => {
    expect(isJson(header)).toBe(json);
  });
});
