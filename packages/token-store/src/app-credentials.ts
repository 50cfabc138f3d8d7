import type { Database } from './database.ts';

/** When the credentials of apps expire. Every method throws TokenStoreError. */
export interface AppCredentials {
  /** `null`: it does not expire. */
  note(app: string, expiresAt: Date | null): Promise<void>;
  /** Of the apps that were noted. */
  expiries(): Promise<ReadonlyMap<string, Date | null>>;
}

export function createAppCredentials(database: Database): AppCredentials {
  return {
    async note(app, expiresAt) {
      await database.query(
        `insert into app_credentials (app, expires_at) values ($1, $2)
         on conflict (app) do update set expires_at = excluded.expires_at, seen_at = now()`,
        [app, expiresAt],
      );
    },
    async expiries() {
      const { rows } = await database.query<{ app: string; expiresAt: Date | null }>(
        'select app, expires_at as "expiresAt" from app_credentials',
      );
      return new Map(rows.map(({ app, expiresAt }) => [app, expiresAt]));
    },
  };
}
