// The worker's side of the queue: taking push jobs, keeping them, and saying what became of them. It knows no
// gateway; docs/decisions/0020-taking-push-jobs.md says why things are as they are.
export { Doorbell, type DoorbellOptions } from '../redis/doorbell.ts';
export { parseTraceparents } from '../traceparent.ts';
export { valueAt } from '../value-at.ts';
export { DeadLetters } from './dead-letters.ts';
export * from './decode-push-job.ts';
export {
  type DecodedPushJob,
  type PushJobColumns,
  selectColumns,
  selectValues,
} from './decoded-push-job.ts';
export { JobLease, type LeaseClock } from './job-lease.ts';
export {
  type HeldJob,
  type JobCheckpoint,
  LaneQueue,
  type LockResult,
  type TakenJob,
  type TakeResult,
} from './lane-queue.ts';
export { LockKeeper, type LockKeeperOptions } from './lock-keeper.ts';
export { type AppSight, QueueWatch, type WatchedApp } from './queue-watch.ts';
export { reportPoisoned } from './report-poisoned.ts';
export { type RetryKind, type RetryPolicy, uncertainReason } from './retries.ts';
export { type SavedJob, type SettledCounts, Settlement, type TryEnd } from './settlement.ts';
export { WorkerLink, type WorkerLinkOptions } from './worker-link.ts';
