import { provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import {
  cancel,
  createBatchId,
  createPushQueue,
  liftPauses,
  outcomesKey,
  pauseApp,
  readCancellation,
  readPauses,
} from '../src/index.ts';
import { FleetFacts, OutcomeReader } from '../src/outcomes/index.ts';
import { discardDeadLetter, discardDeadLetters, listDeadLetters } from '../src/status/index.ts';
import { DeadLetters, WorkerLink } from '../src/worker/index.ts';
import { allOf, deadLetter } from './dead-letter-probe.ts';

const prefix = 'full';

test('a Redis that is full takes no send, tells how full it is, pauses and cancels, and lets go of reports and dead letters', async () => {
  const server = await provideRedis({ own: true });
  const redis = new Redis(server.url);
  const link = { redis: server.url, prefix };
  const queue = createPushQueue(link);
  const reader = new OutcomeReader({ ...link, consumer: 'one' });
  const facts = new FleetFacts(link);
  const send = () => queue.enqueue({ app: 'shop', token: 'ab'.repeat(32), alert: 'x' });
  const worker = new WorkerLink({ ...link, lockDurationMs: 1_000, stalledIntervalMs: 1_000 });
  const letters = new DeadLetters(worker, 'shop');
  try {
    await worker.open(5_000);
    await send();
    await reader.read(['shop'], 1);
    await redis.xadd(outcomesKey(prefix, 'shop'), '*', 'report', JSON.stringify({ batch: createBatchId() }));
    await letters.keep('one', { v: 1, error: 'no JSON', raw: '{', atMs: Date.now() });
    await letters.keep('two', deadLetter());
    const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))![1]);
    await redis.config('SET', 'maxmemory', Math.floor(used / 2));

    await expect(send()).rejects.toMatchObject({ code: 'redis-unavailable', maybeStored: false });
    expect(await facts.read(['shop'])).toMatchObject([
      {
        lanes: { transactional: { enqueued: 1, waiting: 1 }, bulk: { enqueued: 0, waiting: 0 } },
        deadLetters: { count: 2 },
      },
    ]);
    const [memory] = await facts.memory();
    expect(memory!.usedBytes).toBeGreaterThan(memory!.limitBytes);
    const { unreadable } = await reader.read(['shop'], 10);
    await reader.acknowledge(unreadable);
    expect(await reader.backlog(['shop'])).toMatchObject([{ reports: 0 }]);
    expect(await discardDeadLetter({ redis, prefix }, 'shop', 'one')).toBe(true);
    expect(await discardDeadLetter({ redis, prefix }, 'shop', 'one')).toBe(false);
    const filter = { reason: 'uncertain' };
    expect(await allOf(discardDeadLetters({ redis, prefix }, 'shop', filter))).toEqual([
      { id: 'two', notifications: 2, isPart: true },
    ]);
    expect((await listDeadLetters({ redis, prefix }, 'shop', { limit: 10 })).reasons).toEqual({
      'status 1': 1,
    });

    // What stops the flow works: it is what an operator reaches for now.
    const control = { redis, prefix };
    const batch = createBatchId();
    await pauseApp(control, 'shop', { cause: 'operator', reason: 'full', sinceMs: 1 });
    expect(await readPauses(control, 'shop')).toMatchObject([{ reason: 'full' }]);
    await liftPauses(control, 'shop', ['operator']);
    expect(await readPauses(control, 'shop')).toEqual([]);
    await cancel(control, 'shop', batch, 60_000);
    expect(await readCancellation(control, 'shop', batch)).toMatchObject({ whole: true });

    await redis.config('SET', 'maxmemory', 0);
    await send();
  } finally {
    await Promise.all([queue.close(), reader.close(), facts.close(), worker.close()]);
    redis.disconnect();
    await server.stop();
  }
});
