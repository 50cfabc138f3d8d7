import { randomUUID } from 'node:crypto';
import {
  createPrivateFolder,
  findRedisProgram,
  generateTokens,
  openRedisCluster,
  openWatchedRedis,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { expect, test, vi } from 'vitest';
import { withRedis } from './worker-test.ts';

// A primary dies in mid-stream, and a replica takes its place. Where there is no redis-server on the PATH there is
// neither a cluster nor a sentinel to be had.

const program = await findRedisProgram();

interface ReplicatedRedis {
  readonly url: string;
  failOver(): Promise<void>;
  stop(): Promise<void>;
}

test.skipIf(program === undefined).each<[name: string, open: (program: string) => Promise<ReplicatedRedis>]>([
  ['a Redis Cluster', async (path) => openRedisCluster(path, { primaries: 3, replicaFor: '{shop}' })],
  [
    'a Redis under sentinels',
    async (path) =>
      openWatchedRedis(path, { configuration: ['min-replicas-to-write 1', 'min-replicas-max-lag 3'] }),
  ],
])(
  'a primary of %s that dies in mid-stream loses nothing, and keyed sends meanwhile yield one push each',
  async (_, open) => {
    const [redis, simulator] = await Promise.all([open(program!), startSimulator()]);
    const folder = await createPrivateFolder('failover-test');
    const prefix = `pushfleet-test-${randomUUID()}`;
    const bulk = generateTokens({ count: 60_000 });
    const keyed = generateTokens({ count: 50, seed: 2 });
    try {
      await withRedis(simulator, redis.url, prefix, async (rig) => {
        for (let at = 0; at < bulk.length; at += 5_000) await rig.enqueue(bulk.slice(at, at + 5_000), 'bulk');
        await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 4_000_000 } }]);
        const configPath = await writeFleetFile(folder.path, {
          shop: simulatorApp(simulator, { confirmAfter: '300ms', window: 20_000 }),
        });
        const worker = await startService('worker', {
          redisUrl: rig.redisUrl,
          redisPrefix: prefix,
          configPath,
          env: { PUSHFLEET_LOCK_DURATION: '3s' },
        });
        try {
          await vi.waitFor(
            async () => expect((await simulator.control.ledger()).received).toBeGreaterThan(15_000),
            { timeout: 20_000, interval: 10 },
          );
          const failover = redis.failOver();
          const sends = keyed.map(async (token) => {
            const send = () =>
              rig.queue.enqueue({
                app: 'shop',
                token,
                alert: 'keyed',
                idempotencyKey: `order-${token.slice(0, 8)}`,
              });
            // As a business service does: the same call again, until it is answered.
            return vi.waitFor(send, { timeout: 40_000, interval: 200 });
          });
          await failover;
          await rig.setFaults([]);
          await Promise.all(sends);
          const expected = bulk.length + keyed.length;
          expect(await rig.settled('shop', 40_000)).toMatchObject({ enqueued: expected, accepted: expected });
          expect(await simulator.control.ledger()).toMatchObject({ unique: expected });
          await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0), { timeout: 20_000 });
          expect(await worker.stop()).toMatchObject({ code: 0 });
        } finally {
          await worker.kill();
        }
      });
    } finally {
      await Promise.all([redis.stop(), simulator.stop()]);
      await folder.remove();
    }
  },
  150_000,
);
