export * from './dead-letters.ts';
export * from './discard-dead-letters.ts';
export {
  type DeadLetterFilter,
  type LetterStep,
  letterIndex,
  matchingCount,
  matchingPlaces,
  walkDeadLetters,
} from './letter-filter.ts';
export { findLetterOf, type LetterOf } from './letter-of.ts';
export type { LetterSums } from './letter-sums.ts';
export * from './queue-depth.ts';
export * from './queued-batch.ts';
export * from './quota-use.ts';
export * from './replay-dead-letters.ts';
export type { StatusOptions } from './status-options.ts';
export { type LaneTotals, readTotals } from './totals.ts';
