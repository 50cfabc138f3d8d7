import { type KeyBudget, KeySet } from './key-set.ts';

/** What became of the notifications of one app, or of all. */
export interface LedgerCounts {
  /** Taken: what a real gateway would go on to deliver. The sum of the next three. */
  received: number;
  unique: number;
  /** Taken before, with the same key. */
  duplicates: number;
  /** Taken when the ledger had no more room to tell unique ones from duplicates. */
  untracked: number;
  /** Answered with an error, or, for command 0, with a cut. */
  rejected: number;
  /** Arrived after an error or a close on their connection. */
  discarded: number;
}

const noCounts: Readonly<LedgerCounts> = {
  received: 0,
  unique: 0,
  duplicates: 0,
  untracked: 0,
  rejected: 0,
  discarded: 0,
};

/** The counts of one app. */
export class AppLedger {
  readonly counts: LedgerCounts = { ...noCounts };
  readonly #keys: KeySet;

  constructor(budget: KeyBudget) {
    this.#keys = new KeySet(budget);
  }

  /** Counts a notification as taken. Says whether it was taken before. */
  take(keyLow: number, keyHigh: number): boolean {
    const { counts } = this;
    counts.received += 1;
    switch (this.#keys.add(keyLow, keyHigh)) {
      case 'added':
        counts.unique += 1;
        return false;
      case 'present':
        counts.duplicates += 1;
        return true;
      case 'full':
        counts.untracked += 1;
        return false;
    }
  }

  reset(): void {
    Object.assign(this.counts, noCounts);
    this.#keys.clear();
  }
}

/**
 * Counts what the gateway takes, rejects and discards, per app, and knows what it has taken before.
 *
 * Memory is bounded: at most `maxUnique` keys over all apps, 39 bytes each at worst.
 */
export class Ledger {
  readonly #budget: KeyBudget;
  readonly #apps = new Map<string, AppLedger>();

  constructor(maxUnique: number) {
    this.#budget = { left: maxUnique };
  }

  /** The same object for as long as the simulator runs, also across `reset`. */
  app(name: string): AppLedger {
    let app = this.#apps.get(name);
    if (app === undefined) {
      app = new AppLedger(this.#budget);
      this.#apps.set(name, app);
    }
    return app;
  }

  /** The counts of every app that something was counted for. */
  apps(): Readonly<Record<string, LedgerCounts>> {
    const used = [...this.#apps].filter(([, { counts }]) =>
      Object.values(counts).some((count: number) => count > 0),
    );
    return Object.fromEntries(used.map(([name, { counts }]) => [name, counts]));
  }

  totals(): LedgerCounts {
    const totals = { ...noCounts };
    for (const { counts } of this.#apps.values()) {
      for (const name of Object.keys(totals) as (keyof LedgerCounts)[]) totals[name] += counts[name];
    }
    return totals;
  }

  reset(): void {
    for (const app of this.#apps.values()) app.reset();
  }
}
