import { type AppPause, lanes } from '@pushfleet/push-queue';
import type { AppFacts, FleetFacts, OutcomeReader } from '@pushfleet/push-queue/outcomes';
import type { FleetTotals, TokenStore } from '@pushfleet/token-store';
import { pause } from '../backoff.ts';
import type { SweeperMetrics } from '../sweeper-metrics.ts';
import type { Trouble } from '../trouble.ts';

export interface FleetWatchOptions {
  readonly apps: readonly string[];
  readonly facts: FleetFacts;
  readonly reader: OutcomeReader;
  readonly store: TokenStore;
  readonly metrics: SweeperMetrics;
  readonly redis: Trouble;
  readonly postgres: Trouble;
  readonly signal: AbortSignal;
  /** Milliseconds; 2,000 by default. */
  readonly intervalMs?: number;
}

interface Told {
  readonly app: string;
  readonly pause: AppPause;
}

/** Reads what Redis knows of the fleet into metrics and the accounting, and tells of pauses that begin and end. */
export class FleetWatch {
  readonly #options: FleetWatchOptions;
  /** Pauses whose beginning is told, by key. */
  readonly #told = new Map<string, Told>();

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

  /** Looks once; failures are told and made good by the next look. */
  async look(): Promise<void> {
    const { apps, facts, reader, metrics, store, redis, postgres } = this.#options;
    let read: AppFacts[];
    const readAt = new Date();
    try {
      read = await facts.read(apps);
      metrics.outcomeBacklog(await reader.backlog(apps), Date.now());
      metrics.fleetFacts(read, Date.now());
      metrics.redisMemory(await facts.memory());
      redis.succeeded();
    } catch (error) {
      redis.failed(error);
      return;
    }
    try {
      await this.#tell(read.flatMap(({ app, pauses }) => pauses.map((one) => ({ app, pause: one }))));
      await store.accounting.store(totalsOf(read), readAt);
      postgres.succeeded();
    } catch (error) {
      postgres.failed(error);
    }
  }

  async #tell(pauses: readonly Told[]): Promise<void> {
    const current = new Map(pauses.map((told) => [keyOf(told), told]));
    for (const [key, told] of current) {
      if (this.#told.has(key)) continue;
      await this.#event('app.paused', key, told);
      this.#told.set(key, told);
    }
    for (const [key, told] of this.#told) {
      if (current.has(key)) continue;
      await this.#event('app.resumed', key, told);
      this.#told.delete(key);
    }
  }

  async #event(
    kind: 'app.paused' | 'app.resumed',
    key: string,
    { app, pause: { cause, reason, sinceMs } }: Told,
  ) {
    const payload = { cause, reason, sinceMs };
    await this.#options.store.events.tellOnce({ app, kind, payload, key: `${kind} ${key}` });
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

function keyOf({ app, pause: { cause, sinceMs } }: Told): string {
  return `${app} ${cause} ${sinceMs}`;
}
