// Collections for what lives as long as a call: thousands a second go in and out.
//
// A Map or Set makes itself a new table every few dozen deletions, and in V8 the old table keeps its entries and points to
// the new one. Once one of them is old to the garbage collector, it holds the next, and so on: every call that went through
// would be taken for alive until the next full collection. Measured: a third of the time of a call.

/** What came in is taken out by the place that it was given, wherever that is. */
export class Bag<T> {
  /** The first behind it came first, and the last is before it. */
  readonly #ends: Link<T> = { item: null, next: null, previous: null };
  #size = 0;

  constructor() {
    this.#ends.next = this.#ends.previous = this.#ends;
  }

  get size(): number {
    return this.#size;
  }

  add(item: T): Place<T> {
    const { previous: last } = this.#ends;
    const link: Link<T> = { item, next: this.#ends, previous: last };
    if (last !== null) last.next = link;
    this.#ends.previous = link;
    this.#size++;
    return link;
  }

  /** Idempotent. */
  remove(place: Place<T>): void {
    const { previous, next } = place;
    if (previous === null || next === null) return;
    previous.next = next;
    next.previous = previous;
    // Nothing that is gone points to what is there.
    place.next = place.previous = place.item = null;
    this.#size--;
  }

  /** Takes out and hands over one after the other, in the order in which they came, also those that come in meanwhile. */
  takeEach(act: (item: T) => void): void {
    while (this.#size > 0) {
      const { next: first } = this.#ends;
      if (first === null) return;
      const { item } = first;
      this.remove(first);
      // Of a link in the chain.
      act(item as T);
    }
  }
}

/** Where something is in a bag. */
export type Place<T> = Link<T>;

interface Link<T> {
  item: T | null;
  next: Link<T> | null;
  previous: Link<T> | null;
}

const MIN_SLOTS = 16;
const EMPTY = -1;

/** Values by whole numbers from 0 to 2^53, each of them once. Numbers that follow one another cost the least. */
export class NumberTable<Value> {
  #keys = new Float64Array(MIN_SLOTS).fill(EMPTY);
  #values: (Value | undefined)[] = Array.from({ length: MIN_SLOTS });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    return this.#values[this.#slotOf(key)];
  }

  set(key: number, value: Value): void {
    const slot = this.#slotOf(key);
    if (this.#keys[slot] === EMPTY) {
      this.#keys[slot] = key;
      this.#size++;
    }
    this.#values[slot] = value;
    if (this.#size * 2 > this.#keys.length) this.#resize(this.#keys.length * 2);
  }

  delete(key: number): Value | undefined {
    let hole = this.#slotOf(key);
    const value = this.#values[hole];
    if (this.#keys[hole] === EMPTY) return undefined;
    // Those that were put further on because of it move up, so that no search ends in the hole.
    const mask = this.#keys.length - 1;
    for (let slot = (hole + 1) & mask; this.#keys[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const home = homeOf(this.#keys[slot] ?? EMPTY, mask);
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#keys[hole] = this.#keys[slot] ?? EMPTY;
      this.#values[hole] = this.#values[slot];
      hole = slot;
    }
    this.#keys[hole] = EMPTY;
    this.#values[hole] = undefined;
    this.#size--;
    return value;
  }

  clear(): void {
    this.#size = 0;
    this.#resize(MIN_SLOTS);
  }

  /** As they are when this is called. */
  values(): Value[] {
    // What is there has a key.
    return this.#values.filter((_, slot) => this.#keys[slot] !== EMPTY) as Value[];
  }

  /** Where the key is, or where it would go. */
  #slotOf(key: number): number {
    const mask = this.#keys.length - 1;
    let slot = homeOf(key, mask);
    while (this.#keys[slot] !== key && this.#keys[slot] !== EMPTY) slot = (slot + 1) & mask;
    return slot;
  }

  #resize(slots: number): void {
    const [keys, values, size] = [this.#keys, this.#values, this.#size];
    this.#keys = new Float64Array(slots).fill(EMPTY);
    this.#values = Array.from({ length: slots });
    this.#size = 0;
    if (size === 0) return;
    keys.forEach((key, slot) => {
      // What is there has a key.
      if (key !== EMPTY) this.set(key, values[slot] as Value);
    });
  }
}

/** Of a number beyond 2^32 the lower bits count, as for any other. */
function homeOf(key: number, mask: number): number {
  // oxlint-disable-next-line no-bitwise -- the remainder of a power of two, of a number too large for a shift
  return key & mask;
}
