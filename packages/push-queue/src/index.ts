export { payloadLimit } from '@pushfleet/apns-wire/payload';
export type { AppTraits } from './app-traits.ts';
export * from './control/app-control.ts';
export * from './control/audit-outbox.ts';
export * from './control/resume-app.ts';
export * from './control/worker-registry.ts';
export type { BatchResult, TokensResult } from './enqueue/batch-sends.ts';
export { fingerprintOf } from './enqueue/idempotency-record.ts';
export * from './enqueue/notification-input.ts';
export { parseTime } from './enqueue/parse-time.ts';
export { createPushQueue, PushQueue } from './enqueue/push-queue.ts';
export type { EnqueueSource, PushQueueObserver, PushQueueOptions } from './enqueue/push-queue-options.ts';
export type { SendResult } from './enqueue/single-sends.ts';
export * from './lane.ts';
export * from './notification-id.ts';
export * from './push-job/dead-letter.ts';
export {
  maxJobNotifications,
  type PushJobData,
  pushJobDataSchema,
} from './push-job/format.ts';
export { parsePushJobId, pushJobId } from './push-job/id.ts';
export {
  type PushJobProgress,
  type PushJobWaits,
  pushJobProgressSchema,
  pushJobWaitsSchema,
  waitsField,
} from './push-job/progress.ts';
export {
  acceptedCountsSchema,
  type OutcomeException,
  type OutcomeReport,
  outcomeExceptionSchema,
  outcomeReportSchema,
} from './push-job/report.ts';
export * from './push-queue-error.ts';
export * from './quota.ts';
export { createRedisClient, parseRedisUrl, RedisUrlError, reconnectDelayMs } from './redis/client.ts';
export * from './redis/keys.ts';
export * from './redis/memory.ts';
export { describeRedisTrouble, type RedisTrouble, redisTroubleOf } from './redis/trouble.ts';
export { appIdPattern, redisProtocols } from './settings.ts';
export * from './settled-outcome.ts';
