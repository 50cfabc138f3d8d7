export * from './app-control.ts';
export * from './lane.ts';
export * from './notification-id.ts';
export * from './push-job.ts';
export * from './push-queue-error.ts';
export * from './redis-keys.ts';
