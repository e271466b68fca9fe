import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { EMPTY_PROFILE, profileOf } from '../../src/protocol/capability-profile.ts';
import { METHODS, methodRow } from '../../src/protocol/methods.ts';
import {
  type Bucket,
  type Entry,
  type LeaseRequest,
  type Poolable,
  choose,
  needsToBeAlone,
} from '../../src/traffic/lease-rules.ts';
import { Retry } from '../../src/traffic/retry.ts';
import { linkKey } from '../../src/upstream/link-key.ts';
import { VirtualTime } from '../support/virtual-time.ts';

const ASKABLE = profileOf({ elicitation: {} }, '2025-11-25');

test('a call needs to be alone when the upstream may put a question back, and its client can be asked', () => {
  const alone = Object.keys(METHODS).filter((method) => needsToBeAlone(methodRow(method), ASKABLE));

  expect(alone).toEqual(['tools/call', 'prompts/get', 'resources/read']);
});

test('where nothing is declared nothing can be asked', () => {
  for (const method of [...Object.keys(METHODS), 'x/unknown']) {
    expect(needsToBeAlone(methodRow(method), EMPTY_PROFILE)).toBe(false);
  }
});

const KEY = linkKey({ key: 'alice', proof: '' }, EMPTY_PROFILE, 'principal');
const CONFIG = parseConfig({ upstreams: [{ url: 'http://up.example/sse' }], links: { maxInFlight: 3 } }).links;

/** Callers by what becomes of them; the bridge asks nothing else. */
const CALLERS = {
  free: { exclusive: false, mayAskBack: false },
  asking: { exclusive: false, mayAskBack: true },
  alone: { exclusive: true, mayAskBack: true },
} as const;
type Who = keyof typeof CALLERS;

/** Whether each kind of caller gets a conversation in this state. */
function served(state: Partial<Entry<Poolable>>, isSingle: boolean): readonly Who[] {
  const time = new VirtualTime();
  const bucket: Bucket<Poolable> = {
    key: KEY,
    entries: [],
    waiters: [],
    opening: 0,
    retry: new Retry(
      time,
      () => 0,
      () => {},
    ),
  };
  const entry: Entry<Poolable> = {
    wasShared: false,
    conversation: { isOpen: true, isDoubtful: () => false, ping: () => Promise.resolve(true), close: () => {} },
    bucket,
    openedAt: 0,
    inFlight: 0,
    exclusive: false,
    asking: 0,
    checking: false,
    proven: false,
    leaving: false,
    used: true,
    idleSince: 0,
    boundTo: null,
    ...state,
  };
  bucket.entries.push(entry);
  return (['free', 'asking', 'alone'] as const).filter((who) => {
    const request: LeaseRequest = { key: KEY, principal: 'alice', ...CALLERS[who] };
    return choose(bucket, request, { config: CONFIG, isSingle }).entry === entry;
  });
}

describe('who gets a conversation that', () => {
  test.each<[what: string, state: Partial<Entry<Poolable>>, pooled: readonly Who[], single: readonly Who[]]>([
    ['is idle', {}, ['free', 'asking', 'alone'], ['free', 'asking', 'alone']],
    ['some share who cannot be asked', { inFlight: 2 }, ['free', 'asking'], ['free', 'asking', 'alone']],
    ['some share who may be asking', { inFlight: 2, asking: 2 }, ['free', 'asking'], ['free', 'asking']],
    ['somebody has alone', { inFlight: 1, asking: 1, exclusive: true }, [], ['free']],
    ['somebody has alone beside others', { inFlight: 2, asking: 1, exclusive: true }, [], ['free']],
    ['is full', { inFlight: 3 }, [], []],
    ['is full, and somebody has it alone', { inFlight: 3, asking: 1, exclusive: true }, [], []],
    ['is bound to this principal', { boundTo: 'alice' }, ['free', 'asking', 'alone'], ['free', 'asking', 'alone']],
    ['is bound to another principal', { boundTo: 'bob' }, ['free', 'asking'], ['free', 'asking', 'alone']],
    ['is being pinged', { checking: true }, [], []],
    ['ends with its last call', { leaving: true, inFlight: 1 }, [], []],
  ])('%s: pooled %j %j, the only one %j', (_what, state, pooled, single) => {
    expect(served(state, false)).toEqual(pooled);
    expect(served(state, true)).toEqual(single);
  });
});
