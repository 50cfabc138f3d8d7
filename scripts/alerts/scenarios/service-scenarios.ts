import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { recordChange } from '@pushfleet/push-queue';
import { newTokens } from '../alert-fleet.ts';
import type { Scenario } from '../scenario.ts';

// Postgres, Redis and the processes themselves. What happens to one happens to all apps, so each waits for the one
// before it.

const postgresAway: Scenario = {
  alerts: [
    { name: 'PushfleetSweeperBehind', labels: { app: 'reporting' } },
    { name: 'PushfleetAuditWaiting' },
  ],
  app: { id: 'reporting' },
  trouble: 'Postgres is away while pushes go out, and operators try what they can',
  remedy: 'Postgres is started again; sweepers and producers catch up by themselves',
  async provoke(fleet) {
    await fleet.postgres.kill();
    await fleet.send('reporting', newTokens(10));
    const control = { redis: fleet.redis, prefix: 'pushfleet' };
    const change = {
      ...{
        at: new Date(),
        actor: { kind: 'cli', id: 'root@host', name: null },
        address: null,
        requestId: null,
      },
      ...{ action: 'app.resume', app: 'reporting', target: 'reporting', before: {}, after: {} },
    };
    const entries = Array.from(
      { length: 1_100 },
      () => ({ id: randomUUID(), result: 'begun', ...change }) as const,
    );
    for (const entry of entries)
      await recordChange(control, entry, async () => ({ value: undefined, after: {} }));
  },
  mend: async (fleet) => fleet.postgres.restart(),
};

const workerGone: Scenario = {
  alerts: [{ name: 'PushfleetServiceDown', labels: { job: 'worker' } }],
  trouble: 'a worker is killed',
  remedy: 'it is started again',
  provoke: async (fleet) => void (await fleet.services.get('second-worker')!.kill()),
  mend: async (fleet) => fleet.startService('second-worker'),
};

const sweeperUnknown: Scenario = {
  alerts: [{ name: 'PushfleetServiceAbsent', labels: { job: 'sweeper' } }],
  trouble: 'Prometheus knows no sweeper',
  remedy: 'there is one',
  provoke: async (fleet) => fleet.scrape('sweeper', false),
  mend: async (fleet) => fleet.scrape('sweeper'),
};

function redisFull(): Scenario {
  let stop: () => Promise<void>;
  return {
    alerts: [{ name: 'PushfleetRedisMemoryHigh' }, { name: 'PushfleetProducerRefuses' }],
    app: { id: 'refusing' },
    trouble: 'Redis has no memory left',
    remedy: 'redis-cli config set maxmemory 3gb',
    async provoke(fleet) {
      const used = Number(/^used_memory:(\d+)/m.exec(await fleet.redis.info('memory'))![1]);
      await fleet.redis.config('SET', 'maxmemory', String(Math.floor(used * 0.9)));
      stop = fleet.keepSending(100, async () => fleet.send('refusing', newTokens(1)));
    },
    async mend(fleet) {
      await fleet.redis.config('SET', 'maxmemory', '3gb');
      await stop();
    },
  };
}

function stalls(): Scenario {
  const stop = new AbortController();
  return {
    alerts: [{ name: 'PushfleetEventLoopSlow', labels: { job: 'worker' } }],
    trouble: 'a worker gets a tenth of a processor: it is stopped for 700 ms again and again',
    remedy: 'it gets its processor back',
    async provoke(fleet) {
      const { pid } = fleet.services.get('second-worker')!.process;
      void (async () => {
        while (!stop.signal.aborted) {
          process.kill(pid, 'SIGSTOP');
          await delay(700);
          process.kill(pid, 'SIGCONT');
          await delay(80);
        }
      })();
    },
    mend: async () => stop.abort(),
  };
}

export const serviceScenarios: readonly Scenario[] = [
  postgresAway,
  workerGone,
  sweeperUnknown,
  redisFull(),
  stalls(),
];
