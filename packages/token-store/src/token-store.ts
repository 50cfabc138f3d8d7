import { type Batches, createBatches } from './batches.ts';
import { Database, type DatabaseOptions } from './database.ts';
import { createDevices, type Devices } from './devices/devices.ts';

/** Postgres behind named queries. */
export interface TokenStore {
  /** For the queries of other modules of this package. */
  readonly database: Database;
  readonly devices: Devices;
  readonly batches: Batches;
  /** Whether Postgres answers. @throws TokenStoreError */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Opens no connection before it has to; `migrate` brings the schema. */
export function openTokenStore(options: DatabaseOptions): TokenStore {
  const database = new Database(options);
  return {
    database,
    devices: createDevices(database),
    batches: createBatches(database),
    async ping() {
      await database.query('select 1');
    },
    close: () => database.close(),
  };
}
