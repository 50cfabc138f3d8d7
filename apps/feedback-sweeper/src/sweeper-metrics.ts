import { lanes, pauseCauses, type QueueSizes, queueClasses, settledOutcomes } from '@pushfleet/push-queue';
import type { AppFacts, NodeMemory, OutcomeBacklog } from '@pushfleet/push-queue/outcomes';
import {
  type AppliedChunk,
  type AppliedReports,
  deactivationSources,
  type ReadingResult,
  readingResults,
  tupleResults,
} from '@pushfleet/token-store';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

// Closed label sets, initialised to zero. What begins with `pushfleet_fleet_` and the facts of queues are read from
// Redis and so the same in every sweeper: a dashboard takes the maximum by app.

const letterBounds = ['age', 'bytes'] as const;
const queueStates = ['wait', 'active', 'delayed'] as const;

export class SweeperMetrics {
  readonly #reports: Counter;
  readonly #unreadable: Counter;
  readonly #backlog: Gauge;
  readonly #backlogAge: Gauge;
  readonly #tuples: Counter;
  readonly #tupleBacklog: Gauge;
  readonly #readings: Counter;
  readonly #deactivations: Counter;
  readonly #sweep: Histogram;
  readonly #fleetEnqueued: Counter;
  readonly #fleetSettled: Counter;
  readonly #queueJobs: Gauge;
  readonly #queueAge: Gauge;
  readonly #deadLetters: Gauge;
  readonly #deadLetterBytes: Gauge;
  readonly #deadLettersTrimmed: Counter;
  readonly #quotaUsed: Gauge;
  readonly #quotaLimit: Gauge;
  readonly #quotaUsedBytes: Gauge;
  readonly #quotaLimitBytes: Gauge;
  readonly #paused: Gauge;
  readonly #memoryUsed: Gauge;
  readonly #memoryLimit: Gauge;
  readonly #removed: Counter;

  constructor(register: Registry, apps: readonly string[]) {
    const registers = [register];
    const counter = (name: string, help: string, ...labelNames: string[]) =>
      new Counter({ name: `pushfleet_${name}`, help, labelNames, registers });
    const gauge = (name: string, help: string, ...labelNames: string[]) =>
      new Gauge({ name: `pushfleet_${name}`, help, labelNames, registers });
    this.#reports = counter('reports_applied_total', 'Outcome reports that took effect', 'app');
    this.#unreadable = counter('reports_set_aside_total', 'Outcome reports that could not be applied', 'app');
    this.#backlog = gauge('outcome_backlog_reports', 'Outcome reports that are not applied yet', 'app');
    this.#backlogAge = gauge(
      'outcome_backlog_age_seconds',
      'Age of the oldest outcome report in the backlog',
      'app',
    );
    this.#tuples = counter('feedback_tuples_total', 'Feedback tuples that were applied', 'app', 'result');
    this.#tupleBacklog = gauge(
      'feedback_backlog_tuples',
      'Feedback tuples that are stored and not applied yet',
      'app',
    );
    this.#readings = counter('feedback_readings_total', 'Readings of the feedback service', 'app', 'result');
    this.#deactivations = counter(
      'device_deactivations_total',
      'Devices that were deactivated',
      'app',
      'source',
    );
    this.#sweep = new Histogram({
      name: 'pushfleet_sweep_duration_seconds',
      help: 'Time of one transaction that applies outcome reports or feedback tuples',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
      registers,
    });
    this.#fleetEnqueued = counter(
      'fleet_enqueued_notifications_total',
      'Enqueued, whoever did it',
      'app',
      'lane',
    );
    this.#fleetSettled = counter(
      'fleet_settled_notifications_total',
      'Settled, whoever did it',
      'app',
      'lane',
      'outcome',
    );
    this.#queueJobs = gauge('queue_jobs', 'Push jobs in the queues', 'app', 'lane', 'state');
    this.#queueAge = gauge(
      'queue_oldest_age_seconds',
      'How long the push job that waits longest has waited',
      'app',
      'lane',
    );
    this.#deadLetters = gauge('dead_letters', 'Dead letters', 'app');
    this.#deadLetterBytes = gauge('dead_letter_bytes', 'Data of the dead letters', 'app');
    this.#deadLettersTrimmed = counter(
      'dead_letters_trimmed_total',
      'Dead letters that the retention has taken, by the bound that they passed',
      'app',
      'bound',
    );
    this.#quotaUsed = gauge('quota_used_notifications', 'Notifications in the queues', 'app', 'class');
    this.#quotaLimit = gauge('quota_limit_notifications', 'Most of them', 'app', 'class');
    this.#quotaUsedBytes = gauge('quota_used_bytes', 'Push jobs in the queues', 'app', 'class');
    this.#quotaLimitBytes = gauge('quota_limit_bytes', 'Most of their bytes', 'app', 'class');
    this.#paused = gauge('app_paused', '1 while the app is paused for this cause', 'app', 'cause');
    this.#memoryUsed = gauge('redis_memory_used_bytes', 'Memory that Redis uses', 'node');
    this.#memoryLimit = gauge('redis_memory_limit_bytes', 'Memory that Redis may use; 0: no limit', 'node');
    this.#removed = counter('retention_removed_rows_total', 'Rows that were removed for their age', 'table');
    for (const app of apps) this.#startAtZero(app);
  }

  reportsApplied({ appliedByApp, deactivated }: AppliedReports, seconds: number): void {
    for (const [app, applied] of appliedByApp) this.#reports.inc({ app }, applied);
    for (const { app, source, count } of deactivated) this.#deactivations.inc({ app, source }, count);
    this.#sweep.observe(seconds);
  }

  reportSetAside(app: string): void {
    this.#unreadable.inc({ app });
  }

  outcomeBacklog(backlogs: readonly OutcomeBacklog[], nowMs: number): void {
    for (const { app, reports, oldestAtMs } of backlogs) {
      this.#backlog.set({ app }, reports);
      this.#backlogAge.set({ app }, oldestAtMs === undefined ? 0 : Math.max(0, nowMs - oldestAtMs) / 1000);
    }
  }

  readingEnded(app: string, result: ReadingResult): void {
    this.#readings.inc({ app, result });
  }

  chunkApplied({ app, counts }: AppliedChunk, seconds: number): void {
    for (const result of tupleResults) this.#tuples.inc({ app, result }, counts[result]);
    this.#deactivations.inc({ app, source: 'feedback' }, counts.deactivated);
    this.#sweep.observe(seconds);
  }

  feedbackBacklog(apps: readonly string[], backlog: readonly { app: string; tuples: number }[]): void {
    const byApp = new Map(backlog.map(({ app, tuples }) => [app, tuples]));
    for (const app of apps) this.#tupleBacklog.set({ app }, byApp.get(app) ?? 0);
  }

  rowsRemoved(table: string, rows: number): void {
    this.#removed.inc({ table }, rows);
  }

  redisMemory(nodes: readonly NodeMemory[]): void {
    // Nodes come and go.
    this.#memoryUsed.reset();
    this.#memoryLimit.reset();
    for (const { node, usedBytes, limitBytes } of nodes) {
      this.#memoryUsed.set({ node }, usedBytes);
      this.#memoryLimit.set({ node }, limitBytes);
    }
  }

  /** What an app has in its queues, and may have. */
  quota(app: string, used: QueueSizes, limits: QueueSizes): void {
    for (const each of queueClasses) {
      const labels = { app, class: each };
      this.#quotaUsed.set(labels, used[each].notifications);
      this.#quotaUsedBytes.set(labels, used[each].bytes);
      this.#quotaLimit.set(labels, limits[each].notifications);
      this.#quotaLimitBytes.set(labels, limits[each].bytes);
    }
  }

  /** Totals are absolute: the counters start anew with each reading, between two scrapes. */
  fleetFacts(facts: readonly AppFacts[], nowMs: number): void {
    this.#fleetEnqueued.reset();
    this.#fleetSettled.reset();
    this.#deadLettersTrimmed.reset();
    for (const { app, lanes: byLane, pauses, deadLetters } of facts) {
      for (const lane of lanes) {
        const { enqueued, settled, waiting, active, delayed, oldestWaitingMs } = byLane[lane];
        this.#fleetEnqueued.inc({ app, lane }, enqueued);
        for (const outcome of settledOutcomes)
          this.#fleetSettled.inc({ app, lane, outcome }, settled[outcome]);
        this.#queueJobs.set({ app, lane, state: 'wait' }, waiting);
        this.#queueJobs.set({ app, lane, state: 'active' }, active);
        this.#queueJobs.set({ app, lane, state: 'delayed' }, delayed);
        const ageMs = oldestWaitingMs === undefined ? 0 : Math.max(0, nowMs - oldestWaitingMs);
        this.#queueAge.set({ app, lane }, ageMs / 1000);
      }
      this.#deadLetters.set({ app }, deadLetters.count);
      this.#deadLetterBytes.set({ app }, deadLetters.bytes);
      for (const bound of letterBounds)
        this.#deadLettersTrimmed.inc({ app, bound }, deadLetters.trimmed[bound]);
      for (const cause of pauseCauses) {
        this.#paused.set({ app, cause }, pauses.some((pause) => pause.cause === cause) ? 1 : 0);
      }
    }
  }

  #startAtZero(app: string): void {
    this.#reports.inc({ app }, 0);
    this.#unreadable.inc({ app }, 0);
    this.#backlog.set({ app }, 0);
    this.#backlogAge.set({ app }, 0);
    this.#tupleBacklog.set({ app }, 0);
    this.#deadLetters.set({ app }, 0);
    this.#deadLetterBytes.set({ app }, 0);
    for (const bound of letterBounds) this.#deadLettersTrimmed.inc({ app, bound }, 0);
    for (const each of queueClasses) {
      for (const used of [this.#quotaUsed, this.#quotaUsedBytes]) used.set({ app, class: each }, 0);
    }
    for (const result of tupleResults) this.#tuples.inc({ app, result }, 0);
    for (const result of readingResults) this.#readings.inc({ app, result }, 0);
    for (const source of deactivationSources) this.#deactivations.inc({ app, source }, 0);
    for (const cause of pauseCauses) this.#paused.set({ app, cause }, 0);
    for (const lane of lanes) {
      this.#fleetEnqueued.inc({ app, lane }, 0);
      this.#queueAge.set({ app, lane }, 0);
      for (const outcome of settledOutcomes) this.#fleetSettled.inc({ app, lane, outcome }, 0);
      for (const state of queueStates) this.#queueJobs.set({ app, lane, state }, 0);
    }
  }
}
