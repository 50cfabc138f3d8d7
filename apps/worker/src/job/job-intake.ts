import { parsePushJobId, payloadLimit, readCancellation } from '@pushfleet/push-queue';
import {
  decodePushJob,
  PoisonedJobError,
  Settlement,
  type TakenJob,
  uncertainReason,
  valueAt,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp } from '@pushfleet/service-kit';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { JobSpan } from '../tracing/job-span.ts';
import { type JobHome, PushJob, type VerdictListener } from './push-job.ts';

export interface JobIntakeOptions {
  readonly app: FleetApp;
  readonly metrics: AppMetrics;
  readonly verdicts: VerdictListener;
}

/** A cancellation read longer ago than this is read again before the job is handed over, milliseconds. */
const cancellationLifeMs = 1_000;

/** Makes push jobs ready for the transport: decoded, and without what needs no gateway. */
export class JobIntake {
  readonly #options: JobIntakeOptions;
  #cancellationVersion = 0;

  constructor(options: JobIntakeOptions) {
    this.#options = options;
  }

  /** Something of this app may have been cancelled: what was read before is out of date. */
  noteCancellation(): void {
    this.#cancellationVersion++;
  }

  /** Version of the app's cancellations; rises when something may have been cancelled. */
  get cancellationVersion(): number {
    return this.#cancellationVersion;
  }

  /**
   * @param cancellationVersion As it was before the job was taken: whether the job may be cancelled came with the take.
   * @throws PoisonedJobError when no worker can read the job
   */
  open(taken: TakenJob, cancellationVersion: number, home: JobHome, span: JobSpan | undefined): PushJob {
    const { app, metrics, verdicts } = this.#options;
    const { lane } = home;
    const laneMetrics = metrics.openLane(lane);
    const nowMs = Date.now();
    laneMetrics.jobsTaken.inc();
    if (taken.timesTaken === 1)
      laneMetrics.secondsToTaken.observe(Math.max(0, nowMs - taken.availableAtMs) / 1_000);
    const { data, ...held } = taken;
    const decoded = decodePushJob(data, { app: app.id, lane });
    const parsedId = parsePushJobId(taken.id);
    if (taken.name !== 'push' || parsedId === undefined) throw new PoisonedJobError('it is no push job');
    if (parsedId.batch !== decoded.batch) throw new PoisonedJobError('batch is not that of the id');
    const job = new PushJob({
      taken: held,
      firstIndex: parsedId.firstIndex,
      settlement: new Settlement(decoded, taken.progress, taken.waits),
      metrics: laneMetrics,
      home,
      verdicts,
      span,
    });
    if (!taken.mayBeCancelled) {
      job.cancellationVersion = cancellationVersion;
      job.cancellationReadAtMs = performance.now();
    }
    job.settlement.expireOverdue(app.retryForMs, nowMs);
    this.#dropUncertain(job, nowMs);
    this.#refuseTooLarge(job, nowMs);
    return job;
  }

  /** Whether what is cancelled of the job is known well enough to hand it over now. */
  isFresh(job: PushJob): boolean {
    return (
      job.cancellationVersion === this.#cancellationVersion &&
      performance.now() - job.cancellationReadAtMs <= cancellationLifeMs
    );
  }

  /** Takes out of the job what has been cancelled. Never rejects. */
  async refresh(link: WorkerLink, job: PushJob): Promise<void> {
    await link.persist(
      () => job.isLost,
      () => this.#readCancellation(link, job),
    );
  }

  async #readCancellation(link: WorkerLink, job: PushJob): Promise<void> {
    const { app } = this.#options;
    const version = this.#cancellationVersion;
    const cancellation = await link.answer(() =>
      readCancellation({ redis: link.client, prefix: link.prefix }, app.id, job.decoded.batch),
    );
    const nowMs = Date.now();
    job.cancellationVersion = version;
    job.cancellationReadAtMs = performance.now();
    if (cancellation === undefined) return;
    const { whole, indexes } = cancellation;
    job.settlement.endPlaces(
      'cancelled',
      'cancelled',
      nowMs,
      (place) => whole || indexes.has(job.decoded.indexes[place]!),
    );
  }

  /** What a worker that died had handed over may have been sent: at most once means not again. */
  #dropUncertain(job: PushJob, nowMs: number): void {
    if (this.#options.app.onUncertain !== 'drop' || job.taken.progress?.handedOver !== true) return;
    const { settlement } = job;
    settlement.endPlaces('dead', uncertainReason, nowMs, (place) => settlement.isDue(place, nowMs));
  }

  /** The producer measures payloads by the configuration it knows; it may be another one, or none. */
  #refuseTooLarge(job: PushJob, nowMs: number): void {
    const { app, metrics } = this.#options;
    const { columns, pushType } = job.decoded;
    const { payloadOf, payloadOffsets } = columns;
    const refused = job.settlement.endPlaces('rejected', 'payload-too-large', nowMs, (place) => {
      const of = payloadOf[place]!;
      return payloadOffsets[of + 1]! - payloadOffsets[of]! > payloadLimit(app, valueAt(pushType, place));
    });
    if (refused === 0) return;
    metrics.countRejected('payload-too-large', refused);
  }
}
