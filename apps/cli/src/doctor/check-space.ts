import { statfs } from 'node:fs/promises';
import type { TokenStore } from '@pushfleet/token-store';
import { duration } from '../table.ts';
import { type Finding, findingsAbout } from './finding.ts';

/** A sweeper writes every two seconds; after so long none is at work, milliseconds. */
const sweeperLifeMs = 60_000;

/** Whether a sweeper is at work: what it writes of the accounts is fresh. */
export async function checkSweepers({ database }: TokenStore): Promise<Finding[]> {
  const { ok, problem, warning } = findingsAbout('sweepers');
  const advice =
    'Start one: npm run start:sweeper. Reports wait in Redis meanwhile; nothing is lost, and Redis grows.';
  const { rows } = await database.query<{ age: number | null; behind: string | null }>(
    // By the view, which the role of the producer may read.
    `select extract(epoch from now() - max(read_at))::float8 * 1000 as age,
            (sum(not_yet_applied) filter (where not_yet_applied > 0))::text as behind
     from accounting`,
  );
  const { age = null, behind = null } = rows[0] ?? {};
  if (age === null) return [warning('none has been at work in this database yet', advice)];
  if (age > sweeperLifeMs) return [problem(`none has been at work for ${duration(age)}`, advice)];
  if (Number(behind ?? 0) > 1_000_000) {
    return [
      warning(
        `${Number(behind).toLocaleString('en')} outcomes are not applied yet`,
        'Sweepers are behind: look whether Postgres is slow, or start another one.',
      ),
    ];
  }
  return [ok(`one was at work ${duration(age)} ago`)];
}

/** How large the database is, and its largest tables. */
export async function checkSizes({ database }: TokenStore): Promise<Finding[]> {
  const { ok } = findingsAbout('postgres');
  const { rows } = await database.query<{ size: string; tables: readonly string[] | null }>(
    `select pg_size_pretty(pg_database_size(current_database())) as size,
       (select array_agg(name || ' ' || pg_size_pretty(bytes) || ', ' || live || ' rows' order by bytes desc)
        from (select relname as name, pg_total_relation_size(relid) as bytes, n_live_tup as live
              from pg_stat_user_tables order by 2 desc limit 5) largest) as tables`,
  );
  const { size = '', tables = [] } = rows[0] ?? {};
  return [ok(`${size}; largest: ${(tables ?? []).join('; ')}`)];
}

/** Below this share, or this size, a disk is soon full. */
const leastShare = 0.05;
const leastBytes = 1024 ** 3;

/** The disk of this machine that the working directory is on, where services log to and keep spans. */
export async function checkDisk(path: string): Promise<Finding[]> {
  const { ok, warning } = findingsAbout('disk');
  const { bavail, blocks, bsize } = await statfs(path);
  const free = bavail * bsize;
  const text = `${path}: ${(free / leastBytes).toFixed(1)} GiB free of ${((blocks * bsize) / leastBytes).toFixed(1)} GiB`;
  return free < leastBytes || bavail < leastShare * blocks
    ? [warning(text, 'Logs, and a Redis or Postgres on this disk, need room: make some.')]
    : [ok(text)];
}
