import { findRedisProgram, generateTokens, openRedisCluster, type RedisCluster } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createPushQueue, type PushQueue } from '../src/index.ts';

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
