import { type Accounting, createAccounting } from './accounting.ts';
import { type ApiKeys, createApiKeys } from './api-keys/api-keys.ts';
import { type AppCredentials, createAppCredentials } from './app-credentials.ts';
import { type AuditLog, createAuditLog } from './audit/audit-log.ts';
import { type Change, createChange } from './audit/changes.ts';
import { type Batches, createBatches } from './batches.ts';
import { type Broadcasts, createBroadcasts } from './broadcasts/broadcasts.ts';
import { createUploads, type Uploads } from './broadcasts/uploads.ts';
import { Database, type DatabaseOptions } from './database.ts';
import { createDevices, type Devices } from './devices/devices.ts';
import { createEvents, type Events } from './events.ts';
import { createFeedback, type Feedback } from './feedback/feedback.ts';
import { createReports, type Reports } from './reconcile/reports.ts';
import { createRetention, type Retention } from './retention.ts';
import { createScheduledSends, type ScheduledSends } from './scheduled-sends.ts';
import { createWebhooks, type Webhooks } from './webhooks/webhooks.ts';

/** Postgres behind named queries. */
export interface TokenStore {
  /** For the queries of other modules of this package. */
  readonly database: Database;
  readonly devices: Devices;
  readonly batches: Batches;
  readonly broadcasts: Broadcasts;
  readonly uploads: Uploads;
  readonly scheduledSends: ScheduledSends;
  readonly apiKeys: ApiKeys;
  readonly auditLog: AuditLog;
  readonly change: Change;
  readonly appCredentials: AppCredentials;
  readonly webhooks: Webhooks;
  readonly reports: Reports;
  readonly feedback: Feedback;
  readonly events: Events;
  readonly accounting: Accounting;
  readonly retention: Retention;
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
    broadcasts: createBroadcasts(database),
    uploads: createUploads(database),
    scheduledSends: createScheduledSends(database),
    apiKeys: createApiKeys(database),
    auditLog: createAuditLog(database),
    change: createChange(database),
    appCredentials: createAppCredentials(database),
    webhooks: createWebhooks(database),
    reports: createReports(database),
    feedback: createFeedback(database),
    events: createEvents(database),
    accounting: createAccounting(database),
    retention: createRetention(database),
    async ping() {
      await database.query('select 1');
    },
    close: () => database.close(),
  };
}
