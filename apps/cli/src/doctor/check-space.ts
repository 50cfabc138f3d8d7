import { stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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

/** A disk of this machine, by a folder on it. */
export interface Disk {
  readonly path: string;
  /** Bytes that we may use. */
  readonly free: number;
  readonly size: number;
}

/**
 * The disks of this machine that services write to: where they were started, where the system keeps logs, and where it
 * keeps what is temporary. Each disk once, by the first of these folders that is on it.
 */
export async function readDisks(folders: readonly string[]): Promise<Disk[]> {
  const disks = new Map<number, Disk>();
  for (const path of folders) {
    try {
      const [{ dev }, { bavail, blocks, bsize }] = await Promise.all([stat(path), statfs(path)]);
      if (!disks.has(dev)) disks.set(dev, { path, free: bavail * bsize, size: blocks * bsize });
    } catch {
      // There is no such folder here.
    }
  }
  return [...disks.values()];
}

/** @param path Of the folder that services were started in. */
export function diskFolders(path: string): string[] {
  return [path, '/var/log', tmpdir()];
}

export function judgeDisk({ path, free, size }: Disk): Finding {
  const { ok, warning, problem } = findingsAbout('disk');
  const text = `${path}: ${(free / leastBytes).toFixed(1)} GiB free of ${(size / leastBytes).toFixed(1)} GiB`;
  if (free === 0) return problem(text, 'It is full: make room. Redis and Postgres on it refuse writes.');
  return free < leastBytes || free < leastShare * size
    ? warning(text, 'Logs, and a Redis or Postgres on this disk, need room: make some.')
    : ok(text);
}
