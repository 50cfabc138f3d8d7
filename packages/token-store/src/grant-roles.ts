import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { asTokenStoreError } from './token-store-error.ts';

/** The services that have a role of their own in Postgres, `pushfleet_producer` and `pushfleet_sweeper`. */
export const databaseRoles = ['producer', 'sweeper'] as const;
export type DatabaseRole = (typeof databaseRoles)[number];

/** The statements of docs/database.md. */
export const rolesFile = new URL('./roles.sql', import.meta.url);

/**
 * Makes the roles of the services where they are missing, gives them these passwords, and grants them what they need, in
 * one transaction. May be repeated; to be done after each migration. Needs the owner, with the right CREATEROLE.
 * @throws TokenStoreError
 */
export async function grantRoles(
  connectionString: string,
  passwords: Readonly<Record<DatabaseRole, string>>,
): Promise<void> {
  const client = new pg.Client({
    connectionString,
    application_name: 'pushfleet-roles',
    connectionTimeoutMillis: 10_000,
    lock_timeout: 60_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('begin');
    // Roles belong to the whole server: two that are made at once would collide.
    await client.query(`select pg_advisory_xact_lock(hashtext('pushfleet roles'))`);
    await client.query(await readFile(rolesFile, 'utf8'));
    for (const role of databaseRoles) {
      await client.query(`alter role pushfleet_${role} password ${pg.escapeLiteral(passwords[role])}`);
    }
    await client.query('commit');
  } catch (error) {
    throw asTokenStoreError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
