import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { FleetFacts } from '../src/outcomes/index.ts';

test('the memory of Redis is told by node', async () => {
  const facts = new FleetFacts({ redis: inject('redisUrl') });
  try {
    const [memory, ...others] = await facts.memory();
    expect(others).toEqual([]);
    expect(memory).toEqual({
      node: expect.stringMatching(/^.+:\d+$/),
      usedBytes: expect.any(Number),
      memoryBytes: expect.any(Number),
      limitBytes: expect.any(Number),
    });
    expect(memory!.usedBytes).toBeGreaterThan(100_000);
  } finally {
    await facts.close();
  }
});

test('a push job that was scheduled waits from its time on', async () => {
  const redis = new Redis(inject('redisUrl'));
  const prefix = `${inject('redisPrefix')}-facts`;
  const facts = new FleetFacts({ redis: inject('redisUrl'), prefix });
  const lay = async (lane: string, job: Readonly<Record<string, string | number>>) => {
    await redis.hset(`${prefix}:{shop}:${lane}:one`, job);
    await redis.lpush(`${prefix}:{shop}:${lane}:wait`, 'one');
  };
  try {
    await lay('bulk', { timestamp: 1_000_000, opts: '{"delay":500000}' });
    await lay('transactional', { timestamp: 1_000_000, opts: '{}' });
    const [shop] = await facts.read(['shop']);
    expect(shop?.lanes.bulk).toMatchObject({ waiting: 1, oldestWaitingMs: 1_500_000 });
    expect(shop?.lanes.transactional).toMatchObject({ waiting: 1, oldestWaitingMs: 1_000_000 });
  } finally {
    await facts.close();
    redis.disconnect();
  }
});
