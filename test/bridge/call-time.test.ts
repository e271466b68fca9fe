import { expect, test } from 'vitest';
import { encode } from '../../src/protocol/json-rpc.ts';
import { granted, started } from './started-call.ts';

const MESSAGE = [encode('{"jsonrpc":"2.0","method":"notifications/progress"}')];

test('a call without an answer ends after requestMs, and upstream is told [G18]', () => {
  const { call, time, lease, ends, sink } = granted();

  time.advanceSync(999);
  expect(ends).toEqual([]);
  time.advanceSync(1);

  expect(call.state.phase).toBe('done');
  expect(ends).toMatchObject([{ reason: 'request_timeout', status: 200 }]);
  expect(sink.json.error.data.outcome).toBe('unknown');
  expect(lease).toMatchObject({ cancelled: ['the request timed out'], released: ['retire'], broken: [] });
});

test('progress starts the time anew, also where the client takes no stream [G18]', () => {
  const { call, time, ends } = granted({ canStream: false });

  time.advanceSync(900);
  expect(call.progress(MESSAGE)).toBe(false);
  time.advanceSync(999);
  expect(ends).toEqual([]);
  time.advanceSync(1);

  expect(ends).toMatchObject([{ reason: 'request_timeout' }]);
});

test('other notifications do not start it anew', () => {
  const { call, time, ends } = granted();

  time.advanceSync(900);
  expect(call.tell(MESSAGE)).toBe(true);
  time.advanceSync(100);

  expect(ends).toMatchObject([{ reason: 'request_timeout' }]);
});

test('a call takes no longer than requestMaxMs, whatever its progress [G18]', () => {
  const { call, time, ends, sink } = granted();

  for (let turn = 0; turn < 19; turn++) {
    time.advanceSync(500);
    call.progress(MESSAGE);
  }
  time.advanceSync(499);
  expect(ends).toEqual([]);
  time.advanceSync(1);

  expect(ends).toMatchObject([{ reason: 'request_timeout' }]);
  expect(sink.json.error.message).toContain('timeouts.requestMax');
});

test('time in the waiting line does not count', () => {
  const { call, time, lease, ends } = started();

  time.advanceSync(5000);
  call.granted(lease);
  time.advanceSync(999);

  expect(ends).toEqual([]);
});
