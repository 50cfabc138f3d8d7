import type { TestProject } from 'vitest/node';
import './provided.ts';
import { provideRedis } from '../services/redis.ts';

/** A vitest global set-up: one Redis for all test files of a package, by `inject('redisUrl')`. */
export default async function provideRedisToTests(project: TestProject): Promise<() => Promise<void>> {
  const redis = await provideRedis();
  project.provide('redisUrl', redis.url);
  project.provide('redisPrefix', redis.prefix);
  return async () => redis.stop();
}
