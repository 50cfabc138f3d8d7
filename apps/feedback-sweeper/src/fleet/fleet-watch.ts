import { type AppPause, type AppQuota, lanes, quotaLimits } from '@pushfleet/push-queue';
import {
  type AppFacts,
  type FleetFacts,
  needsRecount,
  type OutcomeReader,
} from '@pushfleet/push-queue/outcomes';
import { type Logger, pause } from '@pushfleet/service-kit';
import type { AppliedTotals, FleetTotals, TokenStore } from '@pushfleet/token-store';
import type { SweeperMetrics } from '../sweeper-metrics.ts';
import type { Trouble } from '../trouble.ts';

export interface FleetWatchOptions {
  readonly apps: readonly string[];
  /** As they are configured; those of other apps are the defaults. */
  readonly quotas?: ReadonlyMap<string, AppQuota | undefined>;
  readonly facts: FleetFacts;
  readonly reader: OutcomeReader;
  readonly store: TokenStore;
  readonly metrics: SweeperMetrics;
  readonly logger: Logger;
  readonly redis: Trouble;
  readonly postgres: Trouble;
  readonly signal: AbortSignal;
  /** Milliseconds; 2,000 by default. */
  readonly intervalMs?: number;
}

/** Between two recounts of an app, milliseconds: what they cost grows with its push jobs. */
const recountPauseMs = 60_000;

interface WrittenPause {
  readonly app: string;
  readonly pause: AppPause;
}

/** Reads what Redis knows of the fleet into metrics and the accounting, and tells of pauses that begin and end. */
export class FleetWatch {
  readonly #options: FleetWatchOptions;
  /** Pauses whose event `app.paused` is written and `app.resumed` is not, by key. */
  readonly #open = new Map<string, WrittenPause>();
  /** When an app was last counted anew, by its id. */
  readonly #recountedAtMs = new Map<string, number>();
  /** Whether those of other processes are among them. */
  #hasRead = false;

  constructor(options: FleetWatchOptions) {
    this.#options = options;
  }

  /** Resolves after the signal. */
  async run(): Promise<void> {
    const { signal, intervalMs = 2_000 } = this.#options;
    do {
      await this.look();
    } while (await pause(intervalMs, signal));
  }

  /** Looks once; failures are logged and made good by the next look. */
  async look(): Promise<void> {
    const { apps, quotas, facts, reader, metrics, redis } = this.#options;
    let read: AppFacts[];
    const applied = await this.#applied();
    const readAt = new Date();
    try {
      read = await facts.read(apps);
      metrics.outcomeBacklog(await reader.backlog(apps), Date.now());
      metrics.fleetFacts(read, Date.now());
      const memory = await facts.memory();
      metrics.redisMemory(memory);
      const sizes = memory.flatMap(({ memoryBytes }) => memoryBytes ?? []);
      const memoryBytes = sizes.length === 0 ? undefined : Math.min(...sizes);
      for (const { app, held } of read) {
        metrics.quota(app, held.sizes, quotaLimits(quotas?.get(app), memoryBytes));
      }
      redis.succeeded();
    } catch (error) {
      redis.failed(error);
      return;
    }
    await this.#store(read, readAt, applied);
    // A Redis that is full takes no recount, and all else has been done.
    await this.#recount(read).catch((error: unknown) => redis.failed(error));
  }

  async #store(read: readonly AppFacts[], readAt: Date, applied: AppliedTotals | undefined): Promise<void> {
    const { store, logger, postgres } = this.#options;
    try {
      await this.#writeEvents(read.flatMap(({ app, pauses }) => pauses.map((one) => ({ app, pause: one }))));
      // Without it nothing would be known to be forgotten.
      if (applied === undefined) return;
      const forgotten = await store.accounting.store(totalsOf(read), readAt, applied);
      for (const facts of forgotten)
        logger.error(
          facts,
          'Redis came back without outcomes that Postgres has: see "Redis forgot" in the runbook',
        );
      postgres.succeeded();
    } catch (error) {
      postgres.failed(error);
    }
  }

  /** Before Redis is asked; undefined: Postgres does not say. */
  async #applied(): Promise<AppliedTotals | undefined> {
    const { store, postgres } = this.#options;
    try {
      return await store.accounting.applied();
    } catch (error) {
      postgres.failed(error);
      return undefined;
    }
  }

  /** What an earlier version enqueued, or Redis has lost count of, is counted anew. */
  async #recount(read: readonly AppFacts[]): Promise<void> {
    for (const { app, held } of read) {
      const sinceMs = performance.now() - (this.#recountedAtMs.get(app) ?? Number.NEGATIVE_INFINITY);
      if (!needsRecount(held) || sinceMs < recountPauseMs) continue;
      await this.#options.facts.recount(app);
      this.#recountedAtMs.set(app, performance.now());
    }
  }

  async #writeEvents(pauses: readonly WrittenPause[]): Promise<void> {
    // The process that wrote a beginning may not be there to write the end.
    if (!this.#hasRead) {
      const { store, apps } = this.#options;
      for (const { key, payload } of await store.events.openPauses()) {
        const app = key.split(' ', 1)[0]!;
        if (apps.includes(app)) this.#open.set(key, { app, pause: payload as unknown as AppPause });
      }
      this.#hasRead = true;
    }
    const current = new Map(pauses.map((pause) => [keyOf(pause), pause]));
    for (const [key, pause] of current) {
      if (this.#open.has(key)) continue;
      await this.#event('app.paused', key, pause);
      this.#open.set(key, pause);
    }
    for (const [key, pause] of this.#open) {
      if (current.has(key)) continue;
      await this.#event('app.resumed', key, pause);
      this.#open.delete(key);
    }
  }

  async #event(
    kind: 'app.paused' | 'app.resumed',
    key: string,
    { app, pause: { cause, reason, sinceMs } }: WrittenPause,
  ) {
    const payload = { cause, reason, sinceMs };
    await this.#options.store.events.writeOnce({ app, kind, payload, key: `${kind} ${key}` });
  }
}

function totalsOf(facts: readonly AppFacts[]): FleetTotals[] {
  return facts.flatMap(({ app, lanes: byLane }) =>
    lanes.map((lane) => {
      const { enqueued, settled } = byLane[lane];
      const { rejected, expired, cancelled, dead } = settled;
      const accepted = {
        acceptedProved: settled['accepted-proved'],
        acceptedPresumed: settled['accepted-presumed'],
      };
      return { app, lane, enqueued, ...accepted, rejected, expired, cancelled, dead };
    }),
  );
}

function keyOf({ app, pause: { cause, sinceMs } }: WrittenPause): string {
  return `${app} ${cause} ${sinceMs}`;
}
