import { findRedisProgram, generateTokens, openRedisCluster, type RedisCluster } from '@pushfleet/testkit';
import type { Cluster } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createPushQueue, createRedisClient, type PushQueue } from '../src/index.ts';
import { FleetFacts } from '../src/outcomes/index.ts';
import { readQuotaUse } from '../src/status/index.ts';
import { decodePushJob, LaneQueue, Settlement, WorkerLink } from '../src/worker/index.ts';

const [token = ''] = generateTokens({ count: 1 });
const program = await findRedisProgram();

let cluster: RedisCluster;
beforeAll(async () => {
  if (program !== undefined)
    cluster = await openRedisCluster(program, { primaries: 3, replicaFor: '{shop}' });
}, 60_000);
afterAll(() => cluster?.stop());

function openQueue(prefix: string): PushQueue {
  const queue = createPushQueue({ redis: cluster.url, prefix });
  onTestFinished(() => queue.close());
  return queue;
}

/** Apps of every node: their slots are spread by their names. */
const apps = ['shop', 'news', 'bank', 'game', 'mail', 'chat', 'maps', 'taxi'];

test.skipIf(program === undefined)(
  'sends with keys are all taken, whichever nodes their apps lie on',
  async () => {
    const queue = openQueue('keyed');
    const sends = apps.flatMap((app) =>
      Array.from({ length: 10 }, (_, at) =>
        queue.enqueue({ app, token, alert: 'x', idempotencyKey: `${app}-${at}` }),
      ),
    );
    const results = await Promise.allSettled(sends);
    const refused = results.flatMap((result) =>
      result.status === 'rejected' ? [String(result.reason)] : [],
    );
    expect(refused).toEqual([]);
    for (const app of apps) {
      const again = await queue.enqueue({ app, token, alert: 'x', idempotencyKey: `${app}-0` });
      expect(again.replayed).toBe(true);
    }
  },
  60_000,
);

test.skipIf(program === undefined)(
  'sends without keys are all taken, whichever nodes their apps lie on',
  async () => {
    const queue = openQueue('plain');
    const sends = apps.flatMap((app) =>
      Array.from({ length: 10 }, () => queue.enqueue({ app, token, alert: 'x' })),
    );
    const results = await Promise.allSettled(sends);
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
  },
  60_000,
);

test.skipIf(program === undefined)(
  'a slot that moves is a short wait for its app, and no error for its callers',
  async () => {
    const queue = openQueue('moving');
    let isMoving = true;
    let taken = 0;
    const refused: string[] = [];
    const send = async (key: () => object): Promise<void> => {
      while (isMoving) {
        await queue.enqueue({ app: 'shop', token, alert: 'x', ...key() }).then(
          () => taken++,
          (error: unknown) => void refused.push(String(error)),
        );
      }
    };
    let keys = 0;
    const sends = [send(() => ({})), send(() => ({ idempotencyKey: `moving-${keys++}` }))];
    for (let move = 0; move < 6; move++) {
      const before = taken;
      await cluster.moveSlot('{shop}');
      // Sends go on between two moves, however fast those are.
      await expect.poll(() => taken, { timeout: 20_000 }).toBeGreaterThan(before);
    }
    isMoving = false;
    await Promise.all(sends);
    expect(refused).toEqual([]);
    expect(taken).toBeGreaterThan(4);
  },
  60_000,
);

test.skipIf(program === undefined)(
  'a node that is full is seen wherever the app of a send lies',
  async () => {
    const queue = openQueue('full');
    const admin = createRedisClient(cluster.url) as Cluster;
    onTestFinished(() => admin.disconnect());
    await vi.waitFor(() => expect(admin.nodes('master')).toHaveLength(3), { timeout: 10_000 });
    const send = async (app: string) =>
      queue.enqueue({ app, token, alert: 'x' }).then(
        () => 'taken',
        ({ code }: { code: string }) => code,
      );
    for (const node of admin.nodes('master')) {
      await node.config('SET', 'maxmemory', '1000');
      try {
        await vi.waitFor(
          async () =>
            expect(await Promise.all(apps.map(send))).toEqual(Array(apps.length).fill('backpressure')),
          { timeout: 10_000, interval: 200 },
        );
        const use = await Promise.all(
          apps.map((app) => readQuotaUse({ redis: admin, prefix: 'full' }, app, {})),
        );
        expect(use.map(({ limits }) => limits.queued.bytes)).toEqual(Array(apps.length).fill(400));
      } finally {
        await node.config('SET', 'maxmemory', '0');
      }
    }
    await vi.waitFor(async () => expect(await Promise.all(apps.map(send))).not.toContain('backpressure'), {
      timeout: 10_000,
      interval: 200,
    });
  },
  60_000,
);

test.skipIf(program === undefined)(
  'each app has its quota on its own node, counted down as its push jobs end, and counted anew',
  async () => {
    const prefix = 'quota';
    const queue = createPushQueue({ redis: cluster.url, prefix, quota: { maxNotifications: 3 } });
    onTestFinished(() => queue.close());
    const link = new WorkerLink({
      redis: cluster.url,
      prefix,
      lockDurationMs: 60_000,
      stalledIntervalMs: 1_000,
    });
    onTestFinished(() => link.close());
    const facts = new FleetFacts({ redis: cluster.url, prefix });
    onTestFinished(() => facts.close());
    await link.open(10_000);
    const batch = (app: string, count: number) =>
      queue.enqueueBatch({ app, defaults: { alert: 'x' }, notifications: Array(count).fill({ token }) });
    for (const app of apps) {
      await batch(app, 3);
      await expect(batch(app, 1)).rejects.toMatchObject({ code: 'quota-exceeded' });
      const lane = new LaneQueue(link, 'one', app, 'transactional');
      // A worker tries again while the node is being connected to.
      const taken = await vi.waitFor(() => lane.take(), { timeout: 10_000 });
      if (taken.kind !== 'taken') throw new Error('there is no job');
      const settlement = new Settlement(decodePushJob(taken.job.data, { app, lane: 'transactional' }));
      settlement.handOver(undefined);
      settlement.accept(0, 3, 'proved');
      expect(await lane.report(taken.job, settlement.report({ id: taken.job.id, firstIndex: 1 }, 2))).toBe(
        'done',
      );
      expect(await lane.finish(taken.job)).toBe('done');
      await batch(app, 2);
      expect(await facts.recount(app)).toBe('done');
    }
    for (const { held } of await facts.read(apps)) {
      expect(held).toMatchObject({ sizes: { queued: { notifications: 2 } }, apart: 0 });
    }
  },
  60_000,
);
