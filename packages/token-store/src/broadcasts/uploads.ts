import type { Database } from '../database.ts';

/** Lists of users that broadcasts go to. Every method throws TokenStoreError. */
export interface Uploads {
  /**
   * Keeps a list, all of it or nothing; a user who comes twice counts once. Gives how many users it has. Throws what
   * `userIds` throws, too.
   */
  create(id: string, app: string, userIds: AsyncIterable<readonly string[]>): Promise<number>;
  exists(id: string, app: string): Promise<boolean>;
}

export function createUploads(database: Database): Uploads {
  return {
    async create(id, app, userIds) {
      try {
        let users = 0;
        // Statement by statement: a list may come for minutes, and a transaction that waits for it would hold things up.
        for await (const some of userIds) {
          const { rowCount } = await database.query(
            `insert into upload_users (upload, user_id)
             select distinct $1::uuid, unnest($2::text[]) order by 2 on conflict do nothing`,
            [id, some],
          );
          users += rowCount ?? 0;
        }
        // With this row it is there.
        await database.query('insert into uploads (id, app, users) values ($1, $2, $3)', [id, app, users]);
        return users;
      } catch (error) {
        await database.query('delete from upload_users where upload = $1', [id]).catch(() => undefined);
        throw error;
      }
    },
    async exists(id, app) {
      const { rows } = await database.query('select from uploads where id = $1 and app = $2', [id, app]);
      return rows.length === 1;
    },
  };
}
