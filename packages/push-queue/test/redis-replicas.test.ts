import { findRedisProgram, generateTokens, openRedisProgram } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createPushQueue } from '../src/index.ts';

// What docs/operations.md says of replicas. Where there is no redis-server on the PATH there is nothing to try.

const program = await findRedisProgram();
const [token = ''] = generateTokens({ count: 1 });

test.skipIf(program === undefined)(
  'with min-replicas-to-write, a primary that no replica follows takes no send, and stores none',
  async () => {
    const primary = await openRedisProgram(program!, {
      configuration: ['min-replicas-to-write 1', 'min-replicas-max-lag 3', 'repl-diskless-sync-delay 0'],
    });
    const { port, password } = new URL(primary.url);
    const replica = await openRedisProgram(program!, {
      configuration: [`replicaof 127.0.0.1 ${port}`, `masterauth ${password}`],
    });
    const redis = new Redis(primary.url);
    const queue = createPushQueue({ redis: primary.url, prefix: 'replicas' });
    const send = (more: object = {}) => queue.enqueue({ app: 'shop', token, alert: 'x', ...more });
    const enqueued = () => redis.hget('replicas:{shop}:totals', 'enqueued:transactional');
    try {
      await expect.poll(async () => send().catch(() => undefined), { timeout: 20_000 }).toBeDefined();
      const stored = await enqueued();
      await replica.kill();
      await expect.poll(async () => redis.info('replication')).toContain('connected_slaves:0');
      for (const more of [{}, { idempotencyKey: 'a' }]) {
        await expect(send(more)).rejects.toMatchObject({ code: 'redis-unavailable', maybeStored: false });
      }
      expect(await enqueued()).toBe(stored);
      await replica.restart();
      await expect.poll(async () => send().catch(() => undefined), { timeout: 20_000 }).toBeDefined();
    } finally {
      await queue.close();
      redis.disconnect();
      await Promise.all([primary.stop(), replica.stop()]);
    }
  },
  60_000,
);
