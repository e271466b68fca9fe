import { describe, expect, test } from 'vitest';
import { type RouterFacts, refuseQuestion, routeNotification } from '../../src/bridge/reply-router.ts';
import { notificationOf, requestOf } from './recorded.ts';

function facts(calls: Readonly<Record<number, string>>, session: readonly string[] | null = null): RouterFacts<string> {
  return { find: (id) => calls[id], ofOneSession: session };
}

describe('progress belongs to the call with its token', () => {
  const calls = facts({ 7: 'alice', 8: 'bob' });

  test.each<[token: unknown, call: string]>([
    [7, 'alice'],
    ['7', 'alice'],
    [8, 'bob'],
  ])('%j', (progressToken, call) => {
    const message = notificationOf('notifications/progress', { progressToken, progress: 1 });

    expect(routeNotification(message, calls)).toEqual({ to: 'progress', call });
  });

  test.each<[what: string, params: object]>([
    ['a token that is not open', { progressToken: 9 }],
    ['a token that is not ours', { progressToken: 'abc' }],
    ['a negative token', { progressToken: -7 }],
    ['a fractional token', { progressToken: 7.5 }],
    ['a token in an object', { progressToken: { id: 7 } }],
    ['no token', { progress: 1 }],
    ['a token in _meta', { _meta: { progressToken: 7 } }],
  ])('and to nobody with %s', (_what, params) => {
    const message = notificationOf('notifications/progress', params);

    expect(routeNotification(message, calls)).toEqual({ to: 'nobody', as: 'late_progress' });
    expect(routeNotification(message, facts({ 7: 'alice' }, ['alice']))).toEqual({ to: 'nobody', as: 'late_progress' });
  });
});

describe('a log message says nothing of its cause', () => {
  const log = notificationOf('notifications/message', { level: 'info', data: 'x' });

  test('so it goes to the newest call in flight of a session, where a wrong guess harms nobody', () => {
    expect(routeNotification(log, facts({}, ['only']))).toEqual({ to: 'call', call: 'only' });
    expect(routeNotification(log, facts({}, ['first', 'second']))).toEqual({ to: 'call', call: 'second' });
  });

  test.each<[what: string, session: readonly string[] | null]>([
    ['on a pooled link', null],
    ['in a session with none', []],
  ])('and to nobody %s', (_what, session) => {
    expect(routeNotification(log, facts({ 7: 'alice' }, session))).toEqual({
      to: 'nobody',
      as: 'unroutable_notification',
    });
  });
});

test.each([
  'notifications/tools/list_changed',
  'notifications/resources/updated',
  'notifications/cancelled',
  'notifications/initialized',
  'notifications/Progress',
  'x',
])('%s goes to nobody, even in a session with one call', (method) => {
  const message = notificationOf(method, { progressToken: 7 });

  expect(routeNotification(message, facts({ 7: 'alice' }, ['alice']))).toEqual({
    to: 'nobody',
    as: 'unroutable_notification',
  });
});

describe('a question is refused with an error that its asker understands', () => {
  test.each<[method: string, idle: boolean, retire: boolean]>([
    ['elicitation/create', true, true],
    ['elicitation/create', false, false],
    ['sampling/createMessage', true, true],
    ['sampling/createMessage', false, false],
    // Many servers ask for roots right after `initialized`.
    ['roots/list', true, false],
    ['roots/list', false, false],
    ['x/unknown', true, false],
    ['__proto__', true, false],
    ['tools/call', true, false],
  ])('%s, idle: %s → the link is retired: %s', (method, idle, retire) => {
    const refusal = refuseQuestion(requestOf({ method }), { idle });

    expect(refusal).toMatchObject({ code: -32601, retire });
    expect(refusal.message).not.toContain(method);
  });
});
