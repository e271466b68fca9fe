import { expect, test } from 'vitest';
import { METHODS, isTaskMethod, methodRow } from '../../src/protocol/methods.ts';

test('a method that we do not know is a plain request: passed on, never sent twice', () => {
  for (const method of ['x/y', '', 'tools/Call', '__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    expect(methodRow(method)).toEqual({ kind: 'request' });
  }
});

test('what runs a tool is never sent twice', () => {
  expect(methodRow('tools/call').safeToRetry).toBeUndefined();
});

test('what changes a session is served to nobody without one, and is never sent twice', () => {
  for (const method of ['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel']) {
    expect(methodRow(method)).toMatchObject({ withoutSession: 'nobody' });
    expect(methodRow(method).safeToRetry).toBeUndefined();
  }
});

test('exactly the three methods that may ask back are marked so', () => {
  const asking = Object.keys(METHODS).filter((method) => methodRow(method).mayAskBack);

  expect(asking).toEqual(['tools/call', 'prompts/get', 'resources/read']);
});

test('what is named notifications/ is a notification, and nothing else is', () => {
  for (const [method, { kind }] of Object.entries(METHODS)) {
    expect(kind, method).toBe(method.startsWith('notifications/') ? 'notification' : 'request');
  }
});

test('tasks are known by their prefix', () => {
  expect(['tasks/get', 'tasks/cancel', 'tasks/', 'tools/call', 'tasks', 'Tasks/get'].map(isTaskMethod)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
