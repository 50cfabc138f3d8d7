export * from './lane.ts';
export * from './notification-id.ts';
export * from './push-job.ts';
