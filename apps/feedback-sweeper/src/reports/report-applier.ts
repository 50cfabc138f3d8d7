import { SpanKind, type Tracer } from '@opentelemetry/api';
import { tokenEvidence } from '@pushfleet/apns-client';
import type { PauseCause } from '@pushfleet/push-queue';
import {
  type FleetFacts,
  parseReport,
  type ReadEntries,
  type ReportEntry,
} from '@pushfleet/push-queue/outcomes';
import { backoffMs, contextOf, type Logger, pause } from '@pushfleet/service-kit';
import { type TokenStore, TokenStoreError } from '@pushfleet/token-store';
import type { SweeperMetrics } from '../sweeper-metrics.ts';
import type { Trouble } from '../trouble.ts';

export interface ReportApplierOptions {
  readonly store: TokenStore;
  readonly facts: FleetFacts;
  readonly metrics: SweeperMetrics;
  readonly logger: Logger;
  readonly postgres: Trouble;
  readonly signal: AbortSignal;
  /** Undefined: traces are off. */
  readonly tracer?: Tracer | undefined;
}

/** Of one transaction: reports, and exceptions in them. */
const maxReports = 500;
const maxExceptions = 20_000;

/** While an app is paused for this, its invalid tokens are not believed: it may be the wrong environment. */
const doubtCause: PauseCause = 'invalid-tokens';

/** Puts what was read into Postgres, however long that takes. */
export class ReportApplier {
  readonly #options: ReportApplierOptions;

  constructor(options: ReportApplierOptions) {
    this.#options = options;
  }

  /** True: all of it is in Postgres. False: the signal came first; what was read comes to another reader. */
  async apply({ reports, unreadable }: Omit<ReadEntries, 'failed'>): Promise<boolean> {
    const { store, logger, metrics } = this.#options;
    for (const { app, entry, error } of unreadable) {
      logger.error({ app, entry, reason: error }, 'an outcome report cannot be read; it is set aside');
      metrics.reportSetAside(app);
    }
    if (unreadable.length > 0) {
      const aside = unreadable.map(({ raw, ...entry }) => ({ ...entry, report: raw }));
      if (!(await this.#untilDone(() => store.reports.setAside(aside)))) return false;
    }
    for (const chunk of chunksOf(reports)) if (!(await this.#applyChunk(chunk))) return false;
    return true;
  }

  /**
   * Tries what was set aside once more: this version may be able to. Returns how many could be applied.
   * @throws TokenStoreError
   */
  async applySetAside(): Promise<number> {
    const { store, logger, signal } = this.#options;
    let applied = 0;
    for (let after: string | undefined; !signal.aborted; ) {
      const some = await store.reports.listSetAside(after, maxReports);
      for (const { id, app, report } of some) {
        after = id;
        try {
          await store.reports.apply([parseReport(app, report)]);
        } catch (error) {
          if (error instanceof TokenStoreError && error.isTransient) throw error;
          continue;
        }
        await store.reports.forgetSetAside([id]);
        applied += 1;
      }
      if (some.length < maxReports) break;
    }
    if (applied > 0) logger.info({ reports: applied }, 'outcome reports that were set aside are applied');
    return applied;
  }

  async #applyChunk(chunk: readonly ReportEntry[]): Promise<boolean> {
    const { store, metrics, logger, tracer } = this.#options;
    try {
      return await this.#untilDone(async () => {
        const appsInDoubt = await this.#appsInDoubt(chunk);
        const beganAtMs = Date.now();
        const startMs = performance.now();
        const result = await store.reports.apply(
          chunk.map(({ report }) => report),
          { appsInDoubt },
        );
        metrics.reportsApplied(result, (performance.now() - startMs) / 1000);
        if (tracer !== undefined) spanReports(tracer, chunk, beganAtMs);
        const { applied, repeated, finishedBatches } = result;
        logger.debug({ applied, repeated, finishedBatches }, 'outcome reports applied');
      });
    } catch (err) {
      // Data that Postgres does not take: find the report, so that it does not hold the others up.
      if (chunk.length > 1) {
        for (const entry of chunk) if (!(await this.#applyChunk([entry]))) return false;
        return true;
      }
      const [{ app, entry, report }] = chunk as [ReportEntry];
      logger.error(
        { app, entry, jobId: report.job, err },
        'an outcome report cannot be applied; it is set aside',
      );
      metrics.reportSetAside(app);
      const aside = { app, entry, report: JSON.stringify(report), error: String(err) };
      return this.#untilDone(() => store.reports.setAside([aside]));
    }
  }

  /** Tries on while trying may help; false: the signal came. @throws what trying again does not cure */
  async #untilDone(work: () => Promise<void>): Promise<boolean> {
    const { postgres, signal } = this.#options;
    for (;;) {
      try {
        await work();
        postgres.succeeded();
        return true;
      } catch (error) {
        if (error instanceof TokenStoreError && !error.isTransient) throw error;
        postgres.failed(error);
      }
      if (!(await pause(backoffMs(postgres.failures), signal))) return false;
    }
  }

  /** Asked for only where it matters. */
  async #appsInDoubt(chunk: readonly ReportEntry[]): Promise<ReadonlySet<string>> {
    const suspects = chunk.filter(({ report }) =>
      report.exceptions.some((exception) => tokenEvidence(exception) === 'invalid-token'),
    );
    const apps = [...new Set(suspects.map(({ app }) => app))];
    if (apps.length === 0) return new Set();
    const pauses = await this.#options.facts.pauses(apps);
    return new Set(apps.filter((app) => pauses.get(app)?.some(({ cause }) => cause === doubtCause)));
  }
}

function* chunksOf(entries: readonly ReportEntry[]): Generator<readonly ReportEntry[]> {
  let chunk: ReportEntry[] = [];
  let exceptions = 0;
  for (const entry of entries) {
    chunk.push(entry);
    exceptions += entry.report.exceptions.length;
    if (chunk.length < maxReports && exceptions < maxExceptions) continue;
    yield chunk;
    chunk = [];
    exceptions = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/**
 * The last spans of their traces: that Postgres has the outcomes. One for each report that somebody follows, though they
 * share a transaction.
 * @param startMs When the transaction began, epoch milliseconds.
 */
function spanReports(tracer: Tracer, reports: readonly ReportEntry[], startMs: number): void {
  for (const { app, report, traceparent } of reports) {
    if (traceparent === undefined) continue;
    const attributes = {
      'pushfleet.app': app,
      'pushfleet.lane': report.lane,
      'pushfleet.batch': report.batch,
      'pushfleet.job': report.job,
      'pushfleet.settled': report.count,
      'pushfleet.reports': reports.length,
    };
    const options = { kind: SpanKind.CONSUMER, attributes, startTime: startMs };
    tracer.startSpan('apply outcome report', options, contextOf(traceparent)).end();
  }
}
