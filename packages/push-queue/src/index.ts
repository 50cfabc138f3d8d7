export * from './app-control.ts';
export * from './dead-letter.ts';
export type { AppTraits } from './enqueue/app-directory.ts';
export type { BatchResult } from './enqueue/batch-sends.ts';
export * from './enqueue/notification-input.ts';
export {
  createPushQueue,
  maxBatchNotifications,
  PushQueue,
  type PushQueueObserver,
  type PushQueueOptions,
} from './enqueue/push-queue.ts';
export type { SendResult } from './enqueue/single-sends.ts';
export * from './lane.ts';
export * from './notification-id.ts';
export * from './push-job.ts';
export * from './push-job-id.ts';
export * from './push-queue-error.ts';
export { createRedisClient, parseRedisUrl, RedisUrlError, redisProtocols } from './redis-client.ts';
export * from './redis-keys.ts';
