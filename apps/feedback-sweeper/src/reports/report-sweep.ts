import type { FailedApp, OutcomeReader, ReadEntries } from '@pushfleet/push-queue/outcomes';
import { backoffMs, pause } from '@pushfleet/service-kit';
import { Alarm } from '../alarm.ts';
import type { Trouble } from '../trouble.ts';
import type { ReportApplier } from './report-applier.ts';

// Outcome reports from Redis to Postgres, for ever:
//
//   read (apps that rang; all of them every two seconds) ──▶ apply ──▶ acknowledge
//
// What is not acknowledged comes again: to us after a failed call, to another reader after we died.

export interface ReportSweepOptions {
  readonly apps: readonly string[];
  readonly reader: OutcomeReader;
  readonly applier: ReportApplier;
  readonly redis: Trouble;
  readonly signal: AbortSignal;
  /** How often all apps are looked at, milliseconds; 2,000 by default. */
  readonly pollMs?: number;
  /** After this long without acknowledgement a report is taken over from its reader; 60,000 by default. */
  readonly takeOverMs?: number;
}

/** Reports of one app in one read. */
const perApp = 100;
/** Reports of one app that are taken over at a time, whatever their size. */
const takenOverPerApp = 10;
/** Apps in one read: what is in memory at a time is bounded. */
const appsPerRead = 16;
/** A reader that has had nothing for so long is forgotten, milliseconds. */
const forgetMs = 3_600_000;

export class ReportSweep {
  readonly #options: ReportSweepOptions;
  readonly #known: ReadonlySet<string>;
  readonly #rung = new Set<string>();
  readonly #alarm = new Alarm();
  #lastPollMs = Number.NEGATIVE_INFINITY;
  #lastTakeOverMs = Number.NEGATIVE_INFINITY;
  /** Apps of which a call failed: what it read, or was about to acknowledge, is still ours. */
  readonly #inDoubt = new Set<string>();

  constructor(options: ReportSweepOptions) {
    this.#options = options;
    this.#known = new Set(options.apps);
  }

  /** There is something to read of this app. */
  ring(app: string): void {
    if (!this.#known.has(app)) return;
    this.#rung.add(app);
    this.#alarm.ring();
  }

  /** Resolves after the signal, when what is under way has been applied or left to others. */
  async run(): Promise<void> {
    const { apps, redis, signal, pollMs = 2_000 } = this.#options;
    while (!signal.aborted) {
      try {
        if (performance.now() - this.#lastPollMs >= pollMs) {
          this.#lastPollMs = performance.now();
          await this.#readAgain();
          await this.#lookAround();
          for (const app of apps) this.#rung.add(app);
        }
        await this.#readRung();
        if (this.#inDoubt.size === 0) redis.succeeded();
        if (this.#rung.size === 0) {
          await this.#alarm.pause(pollMs - (performance.now() - this.#lastPollMs), signal);
        }
      } catch (error) {
        for (const app of apps) this.#inDoubt.add(app);
        this.#lastPollMs = Number.NEGATIVE_INFINITY;
        redis.failed(error);
        await pause(backoffMs(redis.failures), signal);
      }
    }
  }

  /** Reads and applies until nothing is left; gives the apps that could not be asked. @throws PushQueueError */
  async drain(): Promise<string[]> {
    await this.#lookAround();
    for (const app of this.#options.apps) this.#rung.add(app);
    await this.#readRung();
    return [...this.#inDoubt];
  }

  /** Of all apps in doubt at once: those that still do not answer hold up nobody else for long. */
  async #readAgain(): Promise<void> {
    const apps = [...this.#inDoubt];
    this.#inDoubt.clear();
    const { reader } = this.#options;
    const settled = await Promise.allSettled(apps.map((app) => reader.readAgain(app)));
    for (const [place, one] of settled.entries()) {
      if (one.status === 'fulfilled') await this.#settle(one.value);
      else this.#doubt([{ app: apps[place]!, error: one.reason as Error }]);
    }
  }

  async #readRung(): Promise<void> {
    const { reader, signal } = this.#options;
    while (this.#rung.size > 0 && !signal.aborted) {
      const apps = [...this.#rung].slice(0, appsPerRead);
      for (const app of apps) this.#rung.delete(app);
      const entries = await reader.read(apps, perApp);
      if (!(await this.#settle(entries))) return;
      for (const app of entries.more) this.#rung.add(app);
    }
  }

  /** What others left behind. */
  async #lookAround(): Promise<void> {
    const { apps, reader, signal, takeOverMs = 60_000 } = this.#options;
    if (performance.now() - this.#lastTakeOverMs < takeOverMs / 2) return;
    for (let from = 0; from < apps.length; from += appsPerRead) {
      const some = apps.slice(from, from + appsPerRead);
      let entries: ReadEntries;
      do {
        if (signal.aborted) return;
        entries = await reader.takeOver(some, takeOverMs, takenOverPerApp);
        if (!(await this.#settle(entries))) return;
      } while (some.some((app) => countOf(entries, app) === takenOverPerApp));
    }
    await reader.forgetReaders(apps, forgetMs);
    this.#lastTakeOverMs = performance.now();
  }

  async #settle({ failed, ...entries }: ReadEntries): Promise<boolean> {
    const { reader, applier } = this.#options;
    this.#doubt(failed);
    const all = [...entries.reports, ...entries.unreadable];
    if (all.length === 0) return true;
    if (!(await applier.apply(entries))) return false;
    this.#doubt(await reader.acknowledge(all));
    return true;
  }

  #doubt(failed: readonly FailedApp[]): void {
    for (const { app, error } of failed) {
      this.#inDoubt.add(app);
      this.#options.redis.failed(error);
    }
  }
}

function countOf({ reports, unreadable }: ReadEntries, app: string): number {
  return [...reports, ...unreadable].filter((entry) => entry.app === app).length;
}
