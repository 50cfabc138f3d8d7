export * from './dead-letters.ts';
export * from './queue-depth.ts';
export * from './queued-batch.ts';
export type { StatusOptions } from './status-options.ts';
export { readTotals } from './totals.ts';
