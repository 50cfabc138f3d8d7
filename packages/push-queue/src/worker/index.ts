// The worker's side of the queue: taking push jobs, keeping them, and saying what became of them. It knows no
// gateway; docs/decisions/0020-taking-push-jobs.md says why things are as they are.

export { selectColumns, selectValues, valueAt } from '../push-job/columns.ts';
export {
  type DecodedPushJob,
  decodePushJob,
  type ExpectedQueue,
  PoisonedJobError,
} from '../push-job/decode.ts';
export { reportPoisoned } from '../push-job/report.ts';
export { Doorbell, type DoorbellOptions } from '../redis/doorbell.ts';
export { parseTraceparents } from '../traceparent.ts';
export { DeadLetters } from './dead-letters.ts';
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
export { type RetryKind, type RetryPolicy, uncertainReason } from './retries.ts';
export { type SavedJob, type SettledCounts, Settlement, type TryEnd } from './settlement.ts';
export { WorkerLink, type WorkerLinkOptions } from './worker-link.ts';
