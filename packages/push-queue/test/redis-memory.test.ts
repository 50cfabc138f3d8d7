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
      limitBytes: expect.any(Number),
    });
    expect(memory!.usedBytes).toBeGreaterThan(100_000);
  } finally {
    await facts.close();
  }
});
