import { setTimeout as delay } from 'node:timers/promises';
import { askPostgres, type Random, randomInt } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { ChaosFault } from './fault.ts';
import type { ChaosFleet } from './fleet.ts';

async function withRedis(url: string, ask: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 20 });
  redis.on('error', () => undefined);
  try {
    await ask(redis);
  } finally {
    redis.disconnect();
  }
}

async function untilRole(url: string, role: 'master' | 'slave'): Promise<void> {
  await withRedis(url, async (redis) => {
    for (let tries = 0; tries < 200; tries++) {
      const info = await redis.info('replication').catch(() => '');
      const linked = role === 'master' || info.includes('master_link_status:up');
      if (info.includes(`role:${role}`) && linked) return;
      await delay(50);
    }
    throw new Error(`Redis did not become ${role}`);
  });
}

/** Hands the writes over to the replica, which has everything, and back: clients of the first see it read-only. */
async function demote({ redis, replica }: ChaosFleet, random: Random): Promise<void> {
  await untilRole(replica.url, 'slave');
  await withRedis(redis.url, async (primary) => primary.call('FAILOVER', 'TIMEOUT', '5000'));
  await untilRole(replica.url, 'master');
  await delay(500 + randomInt(random, 4_000));
  await untilRole(redis.url, 'slave');
  await withRedis(replica.url, async (other) => other.call('FAILOVER', 'TIMEOUT', '5000'));
  await untilRole(redis.url, 'master');
  await untilRole(replica.url, 'slave');
}

function redis(name: string, run: ChaosFault['run'], leavesDoubt = true): ChaosFault {
  return { name: `Redis ${name}`, weight: 1, leavesDoubt, run };
}

function postgres(name: string, run: ChaosFault['run']): ChaosFault {
  return { name: `Postgres ${name}`, weight: 1, leavesDoubt: false, run };
}

/** Holds a session that does something, and ends it. */
async function withSession(url: string, ask: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await ask(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What Redis and Postgres do. */
export const storeFaults: readonly ChaosFault[] = [
  redis(
    'forgets its scripts',
    async ({ redis: { url } }) => withRedis(url, async (it) => it.script('FLUSH')),
    false,
  ),
  redis('is killed', async ({ redis: server, replica }, random) => {
    await server.kill();
    await delay(randomInt(random, 3_000));
    await server.restart();
    await untilRole(replica.url, 'slave');
  }),
  redis('is read-only after a demotion', demote),
  redis('cuts all connections', async ({ redis: { url } }) =>
    withRedis(url, async (it) => it.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')),
  ),
  redis('stands still', async ({ redis: { url } }, random) =>
    withRedis(url, async (it) => it.call('CLIENT', 'PAUSE', String(1_000 + randomInt(random, 4_000)), 'ALL')),
  ),
  redis('is full', async ({ redis: { url } }, random) =>
    withRedis(url, async (it) => {
      await it.config('SET', 'maxmemory', '1mb');
      await delay(1_000 + randomInt(random, 4_000));
      await it.config('SET', 'maxmemory', '0');
    }),
  ),
  postgres('is killed', async ({ postgres: server }, random) => {
    await server.kill();
    await delay(randomInt(random, 3_000));
    await server.restart();
  }),
  postgres('has a table locked', async ({ postgres: { url } }, random) =>
    withSession(url, async (session) => {
      const tables = ['devices', 'batches', 'broadcasts'];
      await session.query('begin');
      await session.query(`lock table ${tables[randomInt(random, tables.length)]} in access exclusive mode`);
      await delay(1_000 + randomInt(random, 5_000));
      await session.query('rollback');
    }),
  ),
  postgres('is read-only', async ({ postgres: { url } }, random) => {
    const set = async (value: string): Promise<void> => {
      await askPostgres(url, `alter system set default_transaction_read_only = ${value}`);
      await askPostgres(url, 'select pg_reload_conf()');
    };
    await set('on');
    try {
      await delay(1_000 + randomInt(random, 4_000));
    } finally {
      await withSession(url, async (session) => {
        await session.query('set default_transaction_read_only = off');
        await session.query('alter system reset default_transaction_read_only');
        await session.query('select pg_reload_conf()');
      });
    }
  }),
  postgres('ends all sessions', async ({ postgres: { url } }) => {
    await askPostgres(
      url,
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()',
    );
  }),
];
