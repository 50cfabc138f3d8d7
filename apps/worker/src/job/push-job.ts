import type {
  ConnectionEnd,
  Http2Columns,
  NotificationRun,
  OutcomeSink,
  Verdict,
} from '@pushfleet/apns-client';
import { type Lane, notificationId, settledOutcomes } from '@pushfleet/push-queue';
import {
  type DecodedPushJob,
  type HeldJob,
  type SettledCounts,
  type Settlement,
  selectColumns,
  selectValues,
} from '@pushfleet/push-queue/worker';
import type { LaneMetrics } from '../metrics/app-metrics.ts';
import type { JobSpan } from '../tracing/job-span.ts';
import { type JobEvent, type JobState, nextJobState } from './job-state.ts';

/** The lane that holds a push job. The transport calls both through the job, in the middle of its own work. */
export interface JobHome {
  readonly lane: Lane;
  /** Handed to the socket for the first time, or settled without: these do not wait in the transport any more. */
  leftQueue(notifications: number): void;
  /** Every notification that was handed over has its verdict. */
  tryEnded(job: PushJob): void;
}

/** Counts the verdicts on an app's notifications. Called in the middle of the transport's own work. */
export interface VerdictListener {
  settled(notifications: number, verdict: Verdict): void;
}

/**
 * A push job that this worker holds: where it is in its life (docs/lifecycles/push-job.md), and what becomes of its
 * notifications. On the good path a call of the transport costs a pass over some bytes: there is no object, promise or log
 * line for each notification.
 */
export class PushJob implements OutcomeSink {
  readonly taken: HeldJob;
  readonly firstIndex: number;
  readonly settlement: Settlement;
  readonly metrics: LaneMetrics;
  /** Undefined when the job is not traced. */
  readonly span: JobSpan | undefined;
  /** Redis knows that it is handed over; only kept where an uncertain notification is dropped. */
  isAnnounced = false;
  /** When its cancellations were last read, by performance.now, and the version of the app's cancellations then. */
  cancellationReadAtMs = 0;
  cancellationVersion = -1;
  /** What the last checkpoint held, and when it was made. */
  checkpointedChanges = 0;
  checkpointedAtMs = performance.now();
  #state: JobState = 'opening';
  readonly #home: JobHome;
  readonly #verdicts: VerdictListener;
  /** Outcomes of it that the metrics have counted already, here or at an earlier worker. */
  #counted: SettledCounts;
  /** Positions of the run below it have left the transport's queue. */
  #high = 0;
  #runCount = 0;

  constructor(options: {
    readonly taken: HeldJob;
    readonly firstIndex: number;
    readonly settlement: Settlement;
    readonly metrics: LaneMetrics;
    readonly home: JobHome;
    readonly verdicts: VerdictListener;
    readonly span: JobSpan | undefined;
  }) {
    this.taken = options.taken;
    this.firstIndex = options.firstIndex;
    this.settlement = options.settlement;
    this.metrics = options.metrics;
    this.span = options.span;
    this.checkpointedChanges = options.settlement.changes;
    this.#home = options.home;
    this.#verdicts = options.verdicts;
    this.#counted = options.settlement.settled();
  }

  get decoded(): DecodedPushJob {
    return this.settlement.job;
  }

  /** Marks what is due, or the first `most` of it, as handed over, and returns it as a run for the transport. */
  beginTry(transport: 'binary' | 'http2', most = Number.POSITIVE_INFINITY): NotificationRun {
    this.go('hand-over');
    const { decoded, settlement } = this;
    const { lease } = this.taken;
    const places = settlement.placesDue(Date.now(), most);
    settlement.handOver(places);
    const columns = places === undefined ? decoded.columns : selectColumns(decoded, places);
    this.#high = 0;
    this.#runCount = columns.count;
    if (transport === 'binary') return { columns, sink: this, lease };
    return { columns, sink: this, lease, http2: this.#http2Columns(places) };
  }

  get state(): JobState {
    return this.#state;
  }

  /** Another worker has it, or it is in Redis no more: this worker may not write anything about it. */
  get isLost(): boolean {
    return this.#state === 'lost';
  }

  /** @throws when its life has no such way from where it is */
  go(event: JobEvent): void {
    this.#state = nextJobState(this.#state, event);
    // Nothing more of it is written to a socket.
    if (event === 'lose') this.taken.lease.end();
  }

  /** Counts for the metrics those outcomes that Redis now has and that are not counted yet. */
  countSettled(settled: SettledCounts): void {
    for (const outcome of settledOutcomes) {
      const more = settled[outcome] - this.#counted[outcome];
      // An answer of Redis that comes late says less than what is counted already.
      if (more < 0) return;
      this.metrics.settled[outcome].inc(more);
    }
    this.#counted = settled;
  }

  written(from: number, to: number): void {
    this.metrics.written.inc(to - from);
    if (this.settlement.firstWrittenAtMs === undefined) {
      const nowMs = Date.now();
      this.settlement.written(nowMs);
      this.span?.noteWritten();
      this.metrics.secondsToWritten.observe(Math.max(0, nowMs - this.taken.availableAtMs) / 1_000);
    }
    this.#leaveQueue(to);
  }

  settled(from: number, to: number, verdict: Verdict): void {
    this.#record(from, to, verdict);
    this.#verdicts.settled(to - from, verdict);
    if (this.settlement.outstanding > 0) return;
    this.#leaveQueue(this.#runCount);
    this.#home.tryEnded(this);
  }

  /** The metrics count these as uncertain elsewhere, by the transport's observer. */
  resent(from: number, to: number, _cause: ConnectionEnd): void {
    this.settlement.resent(to - from);
  }

  #record(from: number, to: number, verdict: Verdict): void {
    const { settlement } = this;
    switch (verdict.kind) {
      case 'accepted':
        settlement.accept(from, to, verdict.certainty);
        return;
      case 'rejected':
        for (let at = from; at < to; at++) settlement.reject(at, verdict.answer, Date.now());
        return;
      case 'retryable':
        for (let at = from; at < to; at++) settlement.retry(at, verdict.answer);
        return;
      case 'uncertain':
        settlement.uncertain(from, to);
        return;
      case 'expired':
        settlement.expire(from, to, Date.now());
        this.#leaveQueue(to);
        return;
      case 'unprocessed':
        settlement.unprocessed(from, to);
        return;
      default:
        verdict satisfies never;
    }
  }

  #leaveQueue(to: number): void {
    if (to <= this.#high) return;
    this.#home.leftQueue(to - this.#high);
    this.#high = to;
  }

  #http2Columns(places: Uint16Array | undefined): Http2Columns {
    const { decoded, settlement } = this;
    return {
      pushType: places === undefined ? decoded.pushType : selectValues<string>(decoded.pushType, places),
      collapseId:
        places === undefined ? decoded.collapseId : selectValues<string | null>(decoded.collapseId, places),
      apnsId: (position) => notificationId(decoded.batch, decoded.indexes[settlement.placeOf(position)]!),
    };
  }
}
