export * from './batches.ts';
export { Database, type DatabaseOptions, type Queryable } from './database.ts';
export type {
  AudienceDevice,
  AudienceFilter,
  AudiencePage,
  AudiencePageOptions,
} from './devices/audience.ts';
export * from './devices/device.ts';
export type { Devices } from './devices/devices.ts';
export { type MigrateOptions, migrate } from './migrate.ts';
export { openTokenStore, type TokenStore } from './token-store.ts';
export { TokenStoreError, type TokenStoreErrorCode } from './token-store-error.ts';
