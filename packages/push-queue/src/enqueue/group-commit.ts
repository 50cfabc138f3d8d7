// Group commit: whatever arrives while one write is in flight goes into the next. Alone, an entry is written at the
// end of the turn of the event loop it came in; under load, the writes grow and their number stays that of round
// trips. There is no timer.
//
// idle --add--> gathering --end of turn--> writing --done, entries wait--> writing
//                                             |--done, none wait--> idle
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
  /** Those that wait, the last with room; in the order they are written. */
  readonly #groups: Group<E, R>[] = [];
  #state: 'idle' | 'gathering' | 'writing' = 'idle';
  #onIdle: (() => void)[] = [];

  constructor(write: GroupWrite<E, R>, maxEntries: number) {
    this.#write = write;
    this.#maxEntries = maxEntries;
  }

  /** Resolves when a write that held the entry has succeeded. */
  add(entry: E): Promise<R> {
    const { entries, written } = this.#ensureGroup();
    const place = entries.push(entry) - 1;
    if (this.#state === 'idle') {
      this.#state = 'gathering';
      setImmediate(() => void this.#run());
    }
    return written.then((results) => {
      const result = results[place]!;
      if (result instanceof Error) throw result;
      return result;
    });
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    if (this.#state === 'idle') return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #ensureGroup(): Group<E, R> {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.entries.length < this.#maxEntries) return last;
    const { promise: written, resolve: settle } = Promise.withResolvers<readonly (R | Error)[]>();
    const group = { entries: [], written, settle };
    this.#groups.push(group);
    return group;
  }

  async #run(): Promise<void> {
    this.#state = 'writing';
    for (let group = this.#groups.shift(); group !== undefined; group = this.#groups.shift()) {
      group.settle(this.#write(group.entries));
      await group.written.catch(() => undefined);
      // Whatever this turn of the event loop still brings goes with the next write: fewer and larger writes under load.
      await endOfTurn();
    }
    this.#state = 'idle';
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
