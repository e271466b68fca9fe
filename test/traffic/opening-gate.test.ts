import { expect, test } from 'vitest';
import { OpeningGate, type Place, type Urgency } from '../../src/traffic/opening-gate.ts';
import { VirtualTime } from '../support/virtual-time.ts';

function world(rate = 50) {
  const time = new VirtualTime();
  const gate = new OpeningGate({ clock: time, timers: time, rate });
  const inside: string[] = [];
  const leaves = new Map<string, () => void>();
  const enter = (name: string, urgency: Urgency = 'called', isAgain = false): Promise<void> =>
    enterAs(name, () => urgency, isAgain);
  const enterAs = (name: string, urgency: () => Urgency | null, isAgain = false): Promise<void> =>
    gate.enter({ urgency, isAgain }).then(
      (leave) => {
        inside.push(name);
        leaves.set(name, leave);
      },
      () => void inside.push(`${name} refused`),
    );
  return { time, gate, inside, leaves, enter, enterAs };
}

test('sixteen at once, the next as soon as one is through', async () => {
  const { time, inside, leaves, enter } = world();
  for (let i = 0; i < 20; i++) void enter(String(i));
  await time.advance(0);
  expect(inside).toHaveLength(16);

  leaves.get('0')?.();
  leaves.get('0')?.();
  await time.advance(0);

  expect(inside).toHaveLength(17);
});

test('what was lost is opened again so many times a second, and no faster', async () => {
  const { time, inside, leaves, enter } = world(10);
  for (let i = 0; i < 100; i++) void enter(String(i), 'idle', true).then(() => leaves.get(String(i))?.());

  await time.advance(0);
  expect(inside).toHaveLength(10);
  await time.advance(1000);
  expect(inside).toHaveLength(20);
  await time.advance(8000);

  expect(inside).toHaveLength(100);
  expect(time.pendingCount).toBe(0);
});

test('who is waited for goes first, and what is new waits for nobody that is opened again', async () => {
  const { time, inside, leaves, enter } = world(1);
  const through = (name: string, ...how: [Urgency, boolean]): void => {
    void enter(name, ...how).then(() => leaves.get(name)?.());
  };
  through('again', 'called', true);
  through('idle', 'idle', true);
  through('kept', 'kept', true);
  through('called', 'called', true);
  through('new', 'idle', false);
  await time.advance(0);
  expect(inside).toEqual(['again', 'new']);

  await time.advance(3000);

  expect(inside).toEqual(['again', 'new', 'called', 'kept', 'idle']);
});

test('whose caller came later goes first too, and no longer once the caller has given up', async () => {
  const { time, inside, leaves, enterAs } = world(1);
  const urgencies = new Map<string, Urgency>();
  for (const name of ['first', 'a', 'b', 'c']) {
    void enterAs(name, () => urgencies.get(name) ?? 'idle', true).then(() => leaves.get(name)?.());
  }
  urgencies.set('b', 'called');
  urgencies.set('c', 'called');
  await time.advance(1000);
  urgencies.delete('c');
  await time.advance(2000);

  expect(inside).toEqual(['first', 'b', 'a', 'c']);
});

test('what nobody wants any more leaves the line, and takes nobody’s turn', async () => {
  const { time, gate, inside, leaves, enterAs } = world(1);
  let isWanted = true;
  const through = (name: string, urgency: () => Urgency | null): void => {
    void enterAs(name, urgency, true).then(() => leaves.get(name)?.());
  };
  through('first', () => 'idle');
  through('left', () => (isWanted ? 'called' : null));
  through('last', () => 'idle');
  await time.advance(0);

  isWanted = false;
  await time.advance(1000);

  expect(inside).toEqual(['first', 'left refused', 'last']);
  expect([gate.waiting, time.pendingCount]).toEqual([0, 0]);
});

test('who is aborted leaves the line at once, and who has waited too long is told the limit', async () => {
  const { time, gate } = world(1);
  const place: Place = { urgency: () => 'called', isAgain: true };
  const client = new AbortController();
  await gate.enter(place);
  const aborted = gate.enter({ ...place, signal: client.signal, maxWaitMs: 900 });
  const late = gate.enter({ ...place, maxWaitMs: 900 });
  aborted.catch(() => {});
  late.catch(() => {});

  client.abort(new Error('left'));
  expect(gate.waiting).toBe(1);
  await time.advance(900);

  await expect(aborted).rejects.toThrow('left');
  await expect(gate.enter({ ...place, signal: client.signal })).rejects.toThrow('left');
  await expect(late).rejects.toMatchObject({
    code: 'upstream_unavailable',
    details: { limit: 'links.queueTimeout', outcome: 'not_executed' },
  });
  expect(gate.waiting).toBe(0);
});

test('those who wait when it closes are told', async () => {
  const { time, gate, inside, enter } = world(1);
  void enter('a', 'idle', true);
  void enter('b', 'idle', true);
  await time.advance(0);

  gate.close();
  await time.advance(0);

  expect(inside).toEqual(['a', 'b refused']);
  expect([gate.waiting, time.pendingCount]).toEqual([0, 0]);
});
