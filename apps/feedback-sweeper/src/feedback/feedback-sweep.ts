import { backoffMs, type Logger, pause } from '@pushfleet/service-kit';
import type { LastReading, TokenStore } from '@pushfleet/token-store';
import { Alarm } from '../alarm.ts';
import type { SweeperMetrics } from '../sweeper-metrics.ts';
import type { Trouble } from '../trouble.ts';
import type { FeedbackApp } from './feedback-app.ts';
import { readAppFeedback } from './read-app-feedback.ts';

// The feedback services of all apps, each on its interval. When an app was read last stands in Postgres, so that the
// sweepers of a fleet, and those that start, agree on what is due. Reading and applying are apart: tuples are in
// Postgres before anything acts on them, and whoever comes by applies them.

export interface FeedbackSweepOptions {
  readonly apps: readonly FeedbackApp[];
  readonly store: TokenStore;
  readonly metrics: SweeperMetrics;
  readonly logger: Logger;
  readonly postgres: Trouble;
  /** Of storing what was read, which goes on beside all else. */
  readonly storing: Trouble;
  readonly stopSignal: AbortSignal;
  /** Gives up storing what was read. */
  readonly giveUpSignal: AbortSignal;
  /** How often to look what is due, milliseconds; by default 10,000, or the shortest interval of an app. */
  readonly tickMs?: number;
  readonly silenceTimeoutMs?: number;
}

/** Readings at a time in one process: each holds a session of Postgres and a connection. */
const maxReadings = 4;
/** Chunks that are applied at a time. */
const appliers = 2;
/** A reading that failed is tried again after so long, then after twice that, up to the interval. Milliseconds. */
const retryMs = 30_000;

export class FeedbackSweep {
  readonly #options: FeedbackSweepOptions;
  /** Readings under way. They do not hold the others up: a service may take its time. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #alarm = new Alarm();
  #applying: Promise<unknown> | undefined;

  constructor(options: FeedbackSweepOptions) {
    this.#options = options;
  }

  /** Resolves after the signal, when what was read is stored. */
  async run(): Promise<void> {
    const { apps, postgres, stopSignal } = this.#options;
    const shortestMs = Math.min(10_000, ...apps.map(({ service }) => service.intervalMs));
    const { tickMs = Math.max(1_000, shortestMs) } = this.#options;
    while (!stopSignal.aborted) {
      try {
        await this.#tick();
        postgres.succeeded();
        await this.#alarm.pause(tickMs, stopSignal);
      } catch (error) {
        postgres.failed(error);
        await pause(backoffMs(postgres.failures), stopSignal);
      }
    }
    await Promise.all(this.#running.values());
    await this.#applying?.catch(() => undefined);
  }

  /** Reads every app now, and applies everything; gives the apps whose reading failed. @throws TokenStoreError */
  async readAll(): Promise<string[]> {
    const { apps, store, stopSignal } = this.#options;
    await store.feedback.endInterrupted(apps.map(({ id }) => id));
    const failed: string[] = [];
    const waiting = [...apps];
    const readOn = async (): Promise<void> => {
      for (let app = waiting.shift(); app !== undefined; app = waiting.shift()) {
        if (stopSignal.aborted) return;
        if (!(await this.#readOne(app, 0))) failed.push(app.id);
      }
    };
    await Promise.all(Array.from({ length: maxReadings }, readOn));
    await this.#applyAll();
    return failed;
  }

  async #tick(): Promise<void> {
    const { apps, store, metrics } = this.#options;
    const ids = apps.map(({ id }) => id);
    await store.feedback.endInterrupted(ids.filter((id) => !this.#running.has(id)));
    await this.#applyAll();
    metrics.feedbackBacklog(ids, await store.feedback.backlog());
    const last = new Map((await store.feedback.lastReadings(ids)).map((reading) => [reading.app, reading]));
    for (const app of apps) {
      if (this.#running.size >= maxReadings) break;
      if (!this.#running.has(app.id) && isDue(app, last.get(app.id))) this.#start(app);
    }
  }

  #start(app: FeedbackApp): void {
    const { postgres } = this.#options;
    const unlessYoungerThanMs = Math.min(app.service.intervalMs, retryMs) / 2;
    const reading = this.#readOne(app, unlessYoungerThanMs).then(
      () => undefined,
      (error: unknown) => postgres.failed(error),
    );
    this.#running.set(
      app.id,
      reading.finally(() => {
        this.#running.delete(app.id);
        this.#alarm.ring();
      }),
    );
  }

  async #readOne(app: FeedbackApp, unlessYoungerThanMs: number): Promise<boolean> {
    const { store, metrics, postgres } = this.#options;
    const reading = await store.feedback.openReading(app.id, { unlessYoungerThanMs });
    if (reading === undefined) return true;
    try {
      const onStored = () => {
        this.#applyAll().catch((error: unknown) => postgres.failed(error));
      };
      const result = await readAppFeedback({
        ...this.#options,
        postgres: this.#options.storing,
        app,
        reading,
        onStored,
      });
      metrics.readingEnded(app.id, result);
      return result !== 'failed';
    } finally {
      await reading.close();
    }
  }

  /** Applies everything that is stored by now, with no more than one run of it at a time. */
  async #applyAll(): Promise<void> {
    await this.#applying?.catch(() => undefined);
    this.#applying ??= Promise.all(Array.from({ length: appliers }, () => this.#applyChunks())).finally(
      () => {
        this.#applying = undefined;
      },
    );
    await this.#applying;
  }

  async #applyChunks(): Promise<void> {
    const { store, metrics, logger, stopSignal } = this.#options;
    while (!stopSignal.aborted) {
      const startMs = performance.now();
      const chunk = await store.feedback.applyNextChunk();
      if (chunk === undefined) return;
      metrics.chunkApplied(chunk, (performance.now() - startMs) / 1000);
      const { app, reading, counts } = chunk;
      logger.debug({ app, reading, ...counts }, 'feedback applied');
    }
  }
}

function isDue({ service }: FeedbackApp, last: LastReading | undefined): boolean {
  if (last === undefined) return true;
  const { result, failures, ageMs } = last;
  const waitMs =
    result === 'failed' ? Math.min(service.intervalMs, retryMs * 2 ** (failures - 1)) : service.intervalMs;
  return ageMs >= waitMs;
}
