import type { Database } from '../database.ts';
import { TokenStoreError } from '../token-store-error.ts';

/** Lists of users that broadcasts go to. Every method throws TokenStoreError. */
export interface Uploads {
  /**
   * Keeps a list, all of it or nothing; a user who comes twice counts once. Returns how many users it has. Throws what
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
        // First, so that no user is there without a list that goes one day.
        await database.query('insert into uploads (id, app, users, complete) values ($1, $2, 0, false)', [
          id,
          app,
        ]);
        // Statement by statement: a list may come for minutes, and a transaction that waits for it would hold things up.
        for await (const some of userIds) {
          const { rowCount } = await database.query(
            `insert into upload_users (upload, user_id)
             select distinct $1::uuid, unnest($2::text[]) order by 2 on conflict do nothing`,
            [id, some],
          );
          users += rowCount ?? 0;
        }
        const { rowCount } = await database.query(
          'update uploads set users = $2, complete = true where id = $1',
          [id, users],
        );
        if (rowCount !== 1) throw new TokenStoreError('timeout', 'the list took longer than a day');
        return users;
      } catch (error) {
        // What cannot be removed now is removed as that of a process that died.
        await database
          .query(
            'with gone as (delete from upload_users where upload = $1) delete from uploads where id = $1',
            [id],
          )
          .catch(() => undefined);
        throw error;
      }
    },
    async exists(id, app) {
      const { rows } = await database.query('select from uploads where id = $1 and app = $2 and complete', [
        id,
        app,
      ]);
      return rows.length === 1;
    },
  };
}
