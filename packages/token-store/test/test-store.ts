import { randomBytes } from 'node:crypto';
import { parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { createTestDatabase, type TestDatabase } from '@pushfleet/testkit';
import { afterAll, beforeAll, inject } from 'vitest';
import {
  type AuditChange,
  type AuditResult,
  createAuditEntry,
  migrate,
  openTokenStore,
  type TokenStore,
} from '../src/index.ts';

/** A migrated database for one test file, and a store on it. Read them in tests, not while the file loads. */
export interface TestStore {
  readonly store: TokenStore;
  readonly url: string;
  /** Runs any statement. */
  sql(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

export function useTestStore(): TestStore {
  let database: TestDatabase;
  let store: TokenStore;
  beforeAll(async () => {
    database = await createTestDatabase(inject('databaseUrl'));
    await migrate(database.url);
    store = openTokenStore({ connectionString: database.url });
  });
  afterAll(async () => {
    await store?.close();
    await database?.drop();
  });
  return {
    get store() {
      return store;
    },
    get url() {
      return database.url;
    },
    async sql(text, values) {
      return (await store.database.query(text, values)).rows;
    },
  };
}

/** Each one new, so that tests of one file keep apart. */
export const newToken = () => parseDeviceToken(randomBytes(32).toString('hex'));
/** An entry of the audit log as `pushfleet keys create` makes it. */
export const newEntry = (change: Partial<AuditChange> = {}, result: AuditResult = 'done', at = new Date()) =>
  createAuditEntry(
    { actor: { kind: 'cli', id: 'root@host', name: null }, address: null, requestId: null },
    { action: 'key.create', app: null, target: null, before: null, after: null, ...change },
    result,
    at,
  );
export const newApp = () => `app-${randomBytes(4).toString('hex')}`;
