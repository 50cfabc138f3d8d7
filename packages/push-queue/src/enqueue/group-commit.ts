// Group commit: whatever arrives while one write is in flight goes into the next. Alone, an entry is written at the
// end of the turn of the event loop it came in; under load, the writes grow and their number stays that of round
// trips. There is no timer.
//
// idle --add--> gathering --end of turn--> writing --done, entries wait--> writing
//                                             |--done, none wait--> idle

interface Waiting<E, R> {
  readonly entry: E;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes entries; gives one result per entry, in order, an Error for one that failed alone. A rejection fails exactly
 * the entries of this write. Must settle in bounded time.
 */
export type GroupWrite<E, R> = (entries: readonly E[]) => Promise<readonly (R | Error)[]>;

export class GroupCommit<E, R> {
  readonly #write: GroupWrite<E, R>;
  readonly #maxEntries: number;
  #waiting: Waiting<E, R>[] = [];
  #state: 'idle' | 'gathering' | 'writing' = 'idle';
  #onIdle: (() => void)[] = [];

  constructor(write: GroupWrite<E, R>, maxEntries: number) {
    this.#write = write;
    this.#maxEntries = maxEntries;
  }

  /** Resolves when a write that held the entry has succeeded. */
  add(entry: E): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#waiting.push({ entry, resolve, reject });
    if (this.#state === 'idle') {
      this.#state = 'gathering';
      setImmediate(() => void this.#run());
    }
    return promise;
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    if (this.#state === 'idle') return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  async #run(): Promise<void> {
    this.#state = 'writing';
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#maxEntries);
      try {
        settle(group, await this.#write(group.map(({ entry }) => entry)));
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
      // Whatever this turn of the event loop still brings goes with the next write: fewer and larger writes under load.
      await endOfTurn();
    }
    this.#state = 'idle';
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function settle<E, R>(group: readonly Waiting<E, R>[], results: readonly (R | Error)[]): void {
  for (let place = 0; place < group.length; place++) {
    const result = results[place];
    if (result instanceof Error) group[place]!.reject(result);
    else group[place]!.resolve(result as R);
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
