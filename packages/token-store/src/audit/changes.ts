import { type ApiKeys, createApiKeys } from '../api-keys/api-keys.ts';
import { type Broadcasts, createBroadcasts } from '../broadcasts/broadcasts.ts';
import type { Database } from '../database.ts';
import { type Devices, unregisterDevice } from '../devices/devices.ts';
import { createWebhooks, type Webhooks } from '../webhooks/webhooks.ts';
import type { AuditEntry } from './audit-entry.ts';
import { createAuditLog } from './audit-log.ts';

/** What can be changed together with its entry in the audit log. */
export interface ChangingStores {
  readonly apiKeys: ApiKeys;
  readonly broadcasts: Broadcasts;
  readonly devices: Pick<Devices, 'unregister'>;
  readonly webhooks: Webhooks;
}

/** What came of a change. */
export interface Changed<T> {
  readonly value: T;
  /** Undefined: nothing was changed. */
  readonly entry: AuditEntry | undefined;
}

/**
 * Makes a change and writes it into the audit log, both or neither. `work` may be run again, after a deadlock; what it
 * throws becomes a TokenStoreError.
 * @throws TokenStoreError
 */
export type Change = <T>(work: (stores: ChangingStores) => Promise<Changed<T>>) => Promise<T>;

export function createChange(database: Database): Change {
  return (work) =>
    database.transaction(async (client) => {
      const { value, entry } = await work({
        apiKeys: createApiKeys(client),
        broadcasts: createBroadcasts(client),
        devices: { unregister: (app, token) => unregisterDevice(client, app, token) },
        webhooks: createWebhooks(client),
      });
      if (entry !== undefined) await createAuditLog(client).write([entry]);
      return value;
    });
}
