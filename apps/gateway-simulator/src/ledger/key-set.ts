/** What `add` found. */
export type KeyAdded = 'added' | 'present' | 'full';

/** How many keys the sets that share it may still take, all together. */
export interface KeyBudget {
  left: number;
}

const smallestCapacity = 1_024;

/**
 * A set of 64-bit keys, each given as two 32-bit halves: open addressing in one typed array, 8 bytes a slot, so that
 * counting a million notifications a second allocates nothing. Keys are hashes already and are not hashed again.
 *
 * Doubles when five eighths are taken: at most 26 bytes a key, 39 while it doubles.
 */
export class KeySet {
  readonly #budget: KeyBudget;
  #slots = new Int32Array(2 * smallestCapacity);
  #mask = smallestCapacity - 1;
  #size = 0;

  constructor(budget: KeyBudget = { left: Number.POSITIVE_INFINITY }) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#size;
  }

  has(low: number, high: number): boolean {
    const at = this.#find(low, notEmpty(low, high));
    return (this.#slots[at]! | this.#slots[at + 1]!) !== 0;
  }

  add(low: number, high: number): KeyAdded {
    const stored = notEmpty(low, high);
    const at = this.#find(low, stored);
    const slots = this.#slots;
    if ((slots[at]! | slots[at + 1]!) !== 0) return 'present';
    if (this.#budget.left <= 0) return 'full';
    this.#budget.left -= 1;
    slots[at] = low;
    slots[at + 1] = stored;
    this.#size += 1;
    if (this.#size * 8 > (this.#mask + 1) * 5) this.#double();
    return 'added';
  }

  clear(): void {
    this.#budget.left += this.#size;
    this.#slots = new Int32Array(2 * smallestCapacity);
    this.#mask = smallestCapacity - 1;
    this.#size = 0;
  }

  /** Where the key is, or the empty slot where it would go. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = low & mask;
    for (;;) {
      const at = 2 * slot;
      const storedLow = slots[at]!;
      const storedHigh = slots[at + 1]!;
      if (storedLow === low && storedHigh === high) return at;
      if ((storedLow | storedHigh) === 0) return at;
      slot = (slot + 1) & mask;
    }
  }

  #double(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length);
    this.#mask = this.#mask * 2 + 1;
    for (let at = 0; at < old.length; at += 2) {
      const low = old[at]!;
      const high = old[at + 1]!;
      if ((low | high) === 0) continue;
      const free = this.#find(low, high);
      this.#slots[free] = low;
      this.#slots[free + 1] = high;
    }
  }
}

/** Both halves 0 mark an empty slot: the one key of that value is stored as its neighbour. */
function notEmpty(low: number, high: number): number {
  return (low | high) === 0 ? 1 : high;
}
