import { describe, expect, test } from 'vitest';
import {
  METHOD_NOT_FOUND,
  type RouterFacts,
  type Sharing,
  UNDECLARED,
  isLeftOver,
  routeNotification,
  routeQuestion,
} from '../../src/bridge/reply-router.ts';
import { notificationOf, requestOf } from './recorded.ts';

const EVERY_SHARING: readonly Sharing[] = ['session', 'everybody', 'pool'];

/** Calls by our id; those whose name begins with `ask` may be asked back. */
function facts(sharing: Sharing, calls: Readonly<Record<number, string>> = {}): RouterFacts<string> {
  return {
    sharing,
    calls: Object.values(calls),
    find: (id) => calls[id],
    mayAskBack: (call) => call.startsWith('ask'),
  };
}

describe('progress belongs to the call with its token, whoever is on the link', () => {
  const calls = { 7: 'alice', 8: 'bob' };

  test.each<[token: unknown, call: string]>([
    [7, 'alice'],
    ['7', 'alice'],
    [8, 'bob'],
  ])('%j [B19]', (progressToken, call) => {
    const message = notificationOf('notifications/progress', { progressToken, progress: 1 });

    for (const sharing of EVERY_SHARING) {
      expect(routeNotification(message, facts(sharing, calls))).toEqual({ to: 'progress', call });
    }
  });

  test.each<[what: string, params: object]>([
    ['a token that is not open', { progressToken: 9 }],
    ['a token that is not ours', { progressToken: 'abc' }],
    ['a negative token', { progressToken: -7 }],
    ['a fractional token', { progressToken: 7.5 }],
    ['a token in an object', { progressToken: { id: 7 } }],
    ['no token', { progress: 1 }],
    ['a token in _meta', { _meta: { progressToken: 7 } }],
  ])('and to nobody with %s, not even to the only call of a session [B19]', (_what, params) => {
    const message = notificationOf('notifications/progress', params);

    for (const sharing of EVERY_SHARING) {
      expect(routeNotification(message, facts(sharing, calls))).toEqual({ to: 'nobody', as: 'late_progress' });
      expect(routeNotification(message, facts(sharing, { 7: 'alice' }))).toEqual({ to: 'nobody', as: 'late_progress' });
    }
  });
});

describe('a log message says nothing of its cause', () => {
  const log = notificationOf('notifications/message', { level: 'info', data: 'x' });
  const nobody = { to: 'nobody', as: 'unroutable_notification' };

  test('on a session’s own link it is the session’s, and about its only call', () => {
    expect(routeNotification(log, facts('session', { 7: 'alice' }))).toEqual({ to: 'session', about: 'alice' });
  });

  test('of more calls it is about none that could be named', () => {
    expect(routeNotification(log, facts('session', { 7: 'alice', 8: 'alice too' }))).toEqual({
      to: 'session',
      about: null,
    });
    expect(routeNotification(log, facts('session'))).toEqual({ to: 'session', about: null });
  });

  test('on the link of everybody it goes to the session of the only call, and to nobody if there are more', () => {
    expect(routeNotification(log, facts('everybody', { 7: 'alice' }))).toEqual({ to: 'session of', call: 'alice' });
    expect(routeNotification(log, facts('everybody', { 7: 'alice', 8: 'bob' }))).toEqual(nobody);
    expect(routeNotification(log, facts('everybody'))).toEqual(nobody);
  });

  test('on a pooled link it goes to whoever answers for the only call, and to nobody if there are more', () => {
    expect(routeNotification(log, facts('pool', { 7: 'alice' }))).toEqual({ to: 'session of', call: 'alice' });
    expect(routeNotification(log, facts('pool', { 7: 'alice', 8: 'bob' }))).toEqual(nobody);
    expect(routeNotification(log, facts('pool'))).toEqual(nobody);
  });
});

describe('what is about no call', () => {
  test.each([
    'notifications/tools/list_changed',
    'notifications/prompts/list_changed',
    'notifications/resources/list_changed',
    'notifications/resources/updated',
    'notifications/elicitation/complete',
    'notifications/Progress',
    'x/invented',
    '__proto__',
  ])('%s is for the sessions on the link, and for those who listen to the mount', (method) => {
    const message = notificationOf(method, { progressToken: 7, requestId: 7 });
    const calls = { 7: 'alice' };

    expect(EVERY_SHARING.map((sharing) => routeNotification(message, facts(sharing, calls)))).toEqual([
      { to: 'session', about: null },
      { to: 'every session' },
      { to: 'listens' },
    ]);
  });

  test.each(['notifications/initialized', 'notifications/roots/list_changed', 'notifications/tasks/status'])(
    '%s is no upstream’s to say, or of what is not bridged: it is for nobody [D6]',
    (method) => {
      for (const sharing of EVERY_SHARING) {
        expect(routeNotification(notificationOf(method), facts(sharing, { 7: 'alice' }))).toEqual({
          to: 'nobody',
          as: 'unroutable_notification',
        });
      }
    },
  );

  test('notifications/cancelled is about a question of the upstream’s own', () => {
    for (const sharing of EVERY_SHARING) {
      const message = notificationOf('notifications/cancelled', { requestId: 7 });
      expect(routeNotification(message, facts(sharing, { 7: 'alice' }))).toEqual({ to: 'question' });
    }
  });
});

describe('a question', () => {
  const QUESTIONS = ['sampling/createMessage', 'elicitation/create', 'roots/list'];

  test.each<[sharing: Sharing, calls: Readonly<Record<number, string>>, verdict: object]>([
    ['session', { 7: 'ask' }, { to: 'session', about: 'ask' }],
    ['session', { 7: 'list', 8: 'ask' }, { to: 'session', about: 'ask' }],
    // Which of them asks cannot be told; it is the session’s all the same.
    ['session', { 7: 'ask', 8: 'ask too' }, { to: 'session', about: null }],
    ['session', { 7: 'list' }, { to: 'session', about: null }],
    ['session', {}, { to: 'session', about: null }],
    ['everybody', { 7: 'ask' }, { to: 'session of', call: 'ask' }],
    ['everybody', { 7: 'list', 8: 'ask', 9: 'list' }, { to: 'session of', call: 'ask' }],
    ['everybody', { 7: 'ask', 8: 'ask too' }, { to: 'nobody', refusal: UNDECLARED }],
    ['everybody', { 7: 'list' }, { to: 'nobody', refusal: UNDECLARED }],
    ['everybody', {}, { to: 'nobody', refusal: UNDECLARED }],
    ['pool', { 7: 'ask' }, { to: 'session of', call: 'ask' }],
    ['pool', { 7: 'ask', 8: 'ask too' }, { to: 'nobody', refusal: UNDECLARED }],
    ['pool', { 7: 'list' }, { to: 'nobody', refusal: UNDECLARED }],
    ['pool', {}, { to: 'nobody', refusal: UNDECLARED }],
  ])('on a link of %s with %j [E4 G17]', (sharing, calls, verdict) => {
    for (const method of QUESTIONS) {
      expect(routeQuestion(requestOf({ method }), facts(sharing, calls))).toEqual(verdict);
    }
  });

  test.each(['tools/call', 'x/unknown', '', '__proto__', 'Roots/list', 'tasks/get', 'initialize'])(
    'that is none (%j) is refused as a method that nobody has, and is not repeated in the refusal [G10]',
    (method) => {
      for (const sharing of EVERY_SHARING) {
        const verdict = routeQuestion(requestOf({ method }), facts(sharing, { 7: 'ask' }));
        expect(verdict).toEqual({
          to: 'nobody',
          refusal: { code: METHOD_NOT_FOUND, message: 'method not found' },
        });
      }
    },
  );

  test.each<[method: string, isLeft: boolean]>([
    ['elicitation/create', true],
    ['sampling/createMessage', true],
    // Many servers ask for roots right after `initialized`.
    ['roots/list', false],
    ['x/unknown', false],
    ['__proto__', false],
    ['tools/call', false],
  ])('%s on a link on which nobody is was left over by an earlier caller: %s', (method, isLeft) => {
    expect(isLeftOver(requestOf({ method }))).toBe(isLeft);
  });
});
