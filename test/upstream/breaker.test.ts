import { describe, expect, test } from 'vitest';
import { Breaker } from '../../src/upstream/breaker.ts';
import { VirtualTime } from '../support/virtual-time.ts';

function world() {
  const time = new VirtualTime();
  const changes: boolean[] = [];
  const breaker = new Breaker(time, (isOpen) => changes.push(isOpen));
  const fail = (times: number): void => {
    for (let i = 0; i < times; i++) breaker.failed();
  };
  return { time, changes, breaker, fail };
}

test('five failures in a row open it for 5 s', () => {
  const { breaker, fail, time, changes } = world();

  fail(4);
  expect([breaker.isOpen, breaker.admit()]).toEqual([false, true]);
  fail(1);

  expect([breaker.isOpen, breaker.admit(), breaker.retryAfterMs]).toEqual([true, false, 5000]);
  time.advanceSync(4999);
  expect([breaker.admit(), breaker.retryAfterMs]).toEqual([false, 1]);
  time.advanceSync(1);
  expect(breaker.retryAfterMs).toBe(0);
  expect(changes).toEqual([true]);
});

test('a success in between begins to count anew', () => {
  const { breaker, fail } = world();

  fail(4);
  breaker.succeeded();
  fail(4);

  expect(breaker.isOpen).toBe(false);
});

test('after the wait one attempt is let through, and nobody else until it is over', () => {
  const { breaker, fail, time } = world();
  fail(5);
  time.advanceSync(5000);

  expect([breaker.admit(), breaker.admit(), breaker.admit()]).toEqual([true, false, false]);
});

test('after each failed attempt it waits as long again', () => {
  const { breaker, fail, time } = world();
  const waits: number[] = [];
  fail(5);

  for (let i = 0; i < 4; i++) {
    waits.push(breaker.retryAfterMs);
    time.advanceSync(breaker.retryAfterMs);
    breaker.admit();
    breaker.failed(true);
  }

  expect(waits).toEqual([5000, 5000, 5000, 5000]);
});

test('what began before it opened and fails during the attempt does not decide', () => {
  const { breaker, fail, time } = world();
  fail(5);
  time.advanceSync(5000);
  breaker.admit();

  fail(3);
  expect(breaker.retryAfterMs).toBe(1000);
  breaker.succeeded();

  expect(breaker.isOpen).toBe(false);
});

test('an attempt that opens a connection closes it on probation: the next failure opens it again', () => {
  const { breaker, fail, time, changes } = world();
  fail(5);
  time.advanceSync(5000);
  breaker.admit();

  breaker.opened();
  expect([breaker.isOpen, breaker.admit()]).toEqual([false, true]);
  fail(1);

  expect(breaker.retryAfterMs).toBe(5000);
  expect(changes).toEqual([true, false, true]);
});

test('a message that is taken ends the probation', () => {
  const { breaker, fail, time } = world();
  fail(5);
  time.advanceSync(5000);
  breaker.admit();

  breaker.opened();
  breaker.succeeded();
  fail(4);
  expect(breaker.isOpen).toBe(false);
  fail(1);

  expect(breaker.retryAfterMs).toBe(5000);
});

test('messages that are answered by an error of the whole server count, until a connection is opened', () => {
  const { breaker } = world();
  const reject = (times: number): void => {
    for (let i = 0; i < times; i++) breaker.rejected();
  };

  reject(4);
  breaker.opened();
  reject(4);
  expect(breaker.isOpen).toBe(false);
  reject(1);

  expect(breaker.isOpen).toBe(true);
});

describe('connections that the upstream cuts', () => {
  test('within 5 s of their opening count', () => {
    const { breaker, time } = world();

    for (let i = 0; i < 5; i++) {
      time.advanceSync(2000);
      breaker.cut(time.now() - 1500);
    }

    expect(breaker.isOpen).toBe(true);
  });

  test('in the same second count once', () => {
    const { breaker, time } = world();
    time.advanceSync(10_000);

    for (let i = 0; i < 100; i++) breaker.cut(time.now() - 10);

    expect(breaker.isOpen).toBe(false);
  });

  test('after a longer life are the end of something that worked', () => {
    const { breaker, fail, time } = world();
    fail(4);
    time.advanceSync(1);
    const openedAt = time.now();

    time.advanceSync(5000);
    breaker.cut(openedAt);
    breaker.ended(openedAt);
    fail(4);

    expect(breaker.isOpen).toBe(false);
  });

  test('after a longer life say nothing of failures since', () => {
    const { breaker, fail, time } = world();
    time.advanceSync(10_000);
    fail(4);

    breaker.ended(0);
    fail(1);
    expect(breaker.isOpen).toBe(true);
    breaker.ended(0);

    expect([breaker.isOpen, breaker.retryAfterMs]).toEqual([true, 5000]);
  });
});
