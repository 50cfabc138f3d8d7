export type { DeviceToken } from '@pushfleet/apns-wire/device-token';
export * from './accounting.ts';
export * from './api-keys/api-key.ts';
export type { ApiKeyPage, ApiKeys, ToldApiKey } from './api-keys/api-keys.ts';
export type { AppCredentials } from './app-credentials.ts';
export * from './audit/audit-entry.ts';
export type { AuditLog, AuditQuery } from './audit/audit-log.ts';
export type { Change, Changed, ChangingStores } from './audit/changes.ts';
export { backUpDatabase, type DatabaseBackup, restoreDatabase } from './backup/database-backup.ts';
export * from './batches.ts';
export type { AudienceColumns, AudienceRun } from './broadcasts/audience-columns.ts';
export * from './broadcasts/broadcast.ts';
export type { Broadcasts, Lease } from './broadcasts/broadcasts.ts';
export type { Uploads } from './broadcasts/uploads.ts';
export { Database, type DatabaseOptions, type Queryable } from './database.ts';
export * from './devices/device.ts';
export * from './devices/device-fields.ts';
export type { Devices } from './devices/devices.ts';
export * from './events.ts';
export {
  type AppliedChunk,
  type TupleCounts,
  type TupleResult,
  tupleResults,
} from './feedback/apply-feedback.ts';
export type { FeedbackTuple } from './feedback/copy-tuples.ts';
export type { Feedback, LastReading, OpenReadingOptions } from './feedback/feedback.ts';
export {
  type FeedbackReading,
  type ReadingEnd,
  type ReadingResult,
  readingResults,
} from './feedback/feedback-reading.ts';
export type { ReaderSessionOptions } from './feedback/reader-session.ts';
export { type DatabaseRole, databaseRoles, grantRoles, rolesFile } from './grant-roles.ts';
export { type MigrateOptions, migrate } from './migrate.ts';
export { type MigrationState, readMigrationState } from './migration-state.ts';
export { pageOf } from './page.ts';
export type { AppliedReports, ApplyOptions } from './reconcile/apply-reports.ts';
export type { Reports, UnreadableReport } from './reconcile/reports.ts';
export * from './retention.ts';
export * from './scheduled-sends.ts';
export { openTokenStore, type TokenStore } from './token-store.ts';
export { TokenStoreError, type TokenStoreErrorCode } from './token-store-error.ts';
export * from './webhooks/webhooks.ts';
