// Group commit: whatever arrives while one write is in flight goes into the next. Alone, an entry is written at the
// end of the turn of the event loop it came in; under load, the writes grow and their number stays that of round
// trips. There is no timer.
//
// idle --add--> gathering --end of turn--> writing --done, entries wait--> writing
//                                             |--done, none wait--> idle
//
// A group that is full has nothing to gain by waiting: it may be written beside the one in flight, so that whoever encodes
// does not stand still while Redis works.
//
// Entries of a group wait for one promise: tens of thousands a second are too many for one each.

interface Group<E, R> {
  readonly entries: E[];
  readonly written: Promise<readonly (R | Error)[]>;
  readonly settle: (results: Promise<readonly (R | Error)[]>) => void;
}

/**
 * Writes entries; gives one result per entry, in order, an Error for one that failed alone. A rejection fails exactly
 * the entries of this write. Must settle in bounded time.
 */
export type GroupWrite<E, R> = (entries: readonly E[]) => Promise<readonly (R | Error)[]>;

export class GroupCommit<E, R> {
  readonly #write: GroupWrite<E, R>;
  readonly #maxEntries: number;
  readonly #mostUnderWay: number;
  /** Those that wait, the last with room; in the order they are written. */
  readonly #groups: Group<E, R>[] = [];
  /** Writes in flight. */
  #underWay = 0;
  /** A look at what waits comes at the end of this turn of the event loop. */
  #isLookDue = false;
  #onIdle: (() => void)[] = [];

  /** @param mostUnderWay Writes in flight at once: beside the first only of full groups. */
  constructor(write: GroupWrite<E, R>, maxEntries: number, mostUnderWay = 1) {
    this.#write = write;
    this.#maxEntries = maxEntries;
    this.#mostUnderWay = mostUnderWay;
  }

  /** Resolves when a write that held the entry has succeeded. */
  add(entry: E): Promise<R> {
    const { entries, written } = this.#groupWithRoom();
    const place = entries.push(entry) - 1;
    if (!this.#isLookDue && this.#mayBegin()) {
      this.#isLookDue = true;
      setImmediate(() => {
        this.#isLookDue = false;
        this.#beginAll();
      });
    }
    return written.then((results) => {
      const result = results[place]!;
      if (result instanceof Error) throw result;
      return result;
    });
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  get #isIdle(): boolean {
    return this.#underWay === 0 && this.#groups.length === 0;
  }

  #groupWithRoom(): Group<E, R> {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.entries.length < this.#maxEntries) return last;
    const { promise: written, resolve: settle } = Promise.withResolvers<readonly (R | Error)[]>();
    const group = { entries: [], written, settle };
    this.#groups.push(group);
    return group;
  }

  /** Whether the first group that waits may be written now. */
  #mayBegin(): boolean {
    const [first] = this.#groups;
    if (first === undefined || this.#underWay === 0) return first !== undefined;
    return this.#underWay < this.#mostUnderWay && first.entries.length >= this.#maxEntries;
  }

  #beginAll(): void {
    while (this.#mayBegin()) void this.#begin(this.#groups.shift()!);
  }

  async #begin(group: Group<E, R>): Promise<void> {
    this.#underWay++;
    group.settle(this.#write(group.entries));
    await group.written.catch(() => undefined);
    // Whatever this turn of the event loop still brings goes with the next write: fewer and larger writes under load.
    await endOfTurn();
    this.#underWay--;
    this.#beginAll();
    if (this.#isIdle) for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
