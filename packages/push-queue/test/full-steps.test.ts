import { generateTokens, provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beatWorker, createPushQueue, readWorkers } from '../src/index.ts';
import { OutcomeReader } from '../src/outcomes/index.ts';
import {
  DeadLetters,
  decodePushJob,
  LaneQueue,
  Settlement,
  type TakenJob,
  WorkerLink,
} from '../src/worker/index.ts';
import { expectExact } from './quota-probe.ts';

// The life of a push job, with a Redis that fills up before one of its steps and stays so to the end.

const token = generateTokens({ count: 1 })[0]!;
let server: Awaited<ReturnType<typeof provideRedis>>;
let redis: Redis;
beforeAll(async () => {
  server = await provideRedis({ own: true });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

interface Life {
  readonly lane: LaneQueue;
  readonly letters: DeadLetters;
  readonly reader: OutcomeReader;
  readonly prefix: string;
  readonly settlement: Settlement;
  job: TakenJob;
}

async function take(life: Life): Promise<void> {
  const taken = await expect
    .poll(
      async () => {
        const result = await life.lane.take();
        if (result.kind === 'taken') life.job = result.job;
        return result.kind;
      },
      { timeout: 20_000 },
    )
    .toBe('taken');
  return taken;
}

const steps: readonly (readonly [name: string, run: (life: Life) => Promise<void>])[] = [
  ['it is taken', take],
  ['its lock is renewed', async ({ lane, job }) => expect(await lane.renew([job])).toEqual([])],
  [
    'its progress is written',
    async ({ lane, job, settlement }) =>
      expect(await lane.checkpoint([{ job, saved: settlement.saved() }])).toEqual(['done']),
  ],
  [
    'it is put off',
    async (life) => {
      expect(await life.lane.delay(life.job, 1)).toBe('done');
      await take(life);
    },
  ],
  [
    'it is given back',
    async (life) => {
      expect(await life.lane.putBack(life.job)).toBe('done');
      await take(life);
    },
  ],
  [
    'its worker dies and it is found',
    async (life) => {
      await redis.del(`${life.prefix}:{shop}:transactional:${life.job.id}:lock`);
      await expect.poll(() => life.lane.moveStalled(), { timeout: 20_000, interval: 60 }).toBe(1);
      await take(life);
    },
  ],
  ['its dead are kept', ({ letters, job, settlement }) => letters.keepDead(job, settlement, Date.now())],
  [
    'it is reported',
    async ({ lane, job, settlement }) =>
      expect(await lane.report(job, settlement.report({ id: job.id, firstIndex: 1 }, 2))).toBe('done'),
  ],
  ['it ends', async ({ lane, job }) => expect(await lane.finish(job)).toBe('done')],
  [
    'its worker says that it lives',
    async ({ prefix }) => {
      const words = { host: 'h', pid: 1, version: '1', sinceMs: 1, apps: ['shop'], troubles: {}, slowed: {} };
      await beatWorker({ redis, prefix }, { id: 'one', ...words }, 60_000);
      expect(await readWorkers({ redis, prefix })).toHaveLength(1);
    },
  ],
  [
    'its report is read and forgotten',
    async ({ reader }) => {
      const { reports } = await reader.read(['shop'], 10);
      expect(reports.map(({ report }) => report.count)).toEqual([1]);
      await reader.acknowledge(reports);
      expect(await reader.backlog(['shop'])).toMatchObject([{ reports: 0 }]);
    },
  ],
];

test.each(steps.map(([name], place) => [name, place] as const))(
  'a Redis that fills up before %s',
  { timeout: 60_000 },
  async (_name, place) => {
    const prefix = `full-${place}`;
    const link = { redis: server.url, prefix };
    const queue = createPushQueue(link);
    const worker = new WorkerLink({ ...link, lockDurationMs: 30_000, stalledIntervalMs: 50 });
    const reader = new OutcomeReader({ ...link, consumer: 'one' });
    try {
      await worker.open(5_000);
      await queue.enqueue({ app: 'shop', token, alert: 'x' });
      const lane = new LaneQueue(worker, 'one', 'shop', 'transactional');
      const data = (await redis.hget(
        `${prefix}:{shop}:transactional:${(await redis.lindex(`${prefix}:{shop}:transactional:wait`, 0))!}`,
        'data',
      ))!;
      const settlement = new Settlement(decodePushJob(data, { app: 'shop', lane: 'transactional' }));
      settlement.endPlaces('dead', 'none', 1, () => true);
      const life = {
        lane,
        letters: new DeadLetters(worker, 'shop'),
        reader,
        prefix,
        settlement,
      } as unknown as Life;
      for (const [at, [, run]] of steps.entries()) {
        if (at === place) await redis.config('SET', 'maxmemory', 1);
        await run(life);
      }
      await expectExact({ redis, prefix }, 'shop');
      await expect(redis.set('one', 'more')).rejects.toThrow(/^OOM/);
    } finally {
      await redis.config('SET', 'maxmemory', 0);
      await Promise.all([queue.close(), reader.close(), worker.close()]);
    }
  },
);
