import { jitterMs, type Logger, pause } from '@pushfleet/service-kit';
import type { RetentionPolicy, TokenStore } from '@pushfleet/token-store';
import type { SweeperMetrics } from '../sweeper-metrics.ts';
import type { Trouble } from '../trouble.ts';

export interface RetentionSweepOptions {
  readonly store: TokenStore;
  readonly policy: RetentionPolicy;
  readonly metrics: SweeperMetrics;
  readonly logger: Logger;
  readonly postgres: Trouble;
  readonly signal: AbortSignal;
  /** How often old things are removed in the whole fleet, milliseconds; a day by default. */
  readonly intervalMs?: number;
}

/** How often to ask whether it is time, milliseconds. */
const askMs = 300_000;
/** How soon to try again what has failed, milliseconds. */
const retryMs = 5_000;

/** Removes what is old, once a day in the whole fleet. */
export class RetentionSweep {
  readonly #options: RetentionSweepOptions;

  constructor(options: RetentionSweepOptions) {
    this.#options = options;
  }

  /** Resolves after the signal, between two chunks. */
  async run(): Promise<void> {
    const { postgres, signal } = this.#options;
    for (let pauseMs = askMs; !signal.aborted; await pause(jitterMs(pauseMs, 0.5), signal)) {
      try {
        await this.look();
        postgres.succeeded();
        pauseMs = askMs;
      } catch (error) {
        postgres.failed(error);
        // Soon: this service counts as unready until it has succeeded.
        pauseMs = retryMs;
      }
    }
  }

  /** Removes what is old if it is time. @throws TokenStoreError */
  async look(): Promise<void> {
    const { store, policy, metrics, logger, signal, intervalMs = 86_400_000 } = this.#options;
    if (!(await store.retention.claim(intervalMs))) return;
    const removed: Record<string, number> = {};
    await store.retention.run({
      policy,
      signal,
      onRemoved: (table, rows) => {
        removed[table] = (removed[table] ?? 0) + rows;
        metrics.rowsRemoved(table, rows);
      },
    });
    logger.info({ removed }, 'rows past their retention removed');
  }
}
