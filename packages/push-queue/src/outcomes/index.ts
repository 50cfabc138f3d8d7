export { Doorbell, type DoorbellOptions } from '../worker/doorbell.ts';
export * from './fleet-facts.ts';
export * from './outcome-reader.ts';
export * from './report-entry.ts';
