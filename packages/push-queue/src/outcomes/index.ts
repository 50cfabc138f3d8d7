export { Doorbell, type DoorbellOptions } from '../redis/doorbell.ts';
export type { NodeMemory } from '../redis/memory.ts';
export * from './fleet-facts.ts';
export * from './outcome-reader.ts';
export { needsRecount } from './recount.ts';
export * from './report-entry.ts';
