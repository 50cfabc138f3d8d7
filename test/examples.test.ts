import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type PostgresService,
  providePostgres,
  provideRedis,
  type RedisService,
  runProcess,
  type StartedService,
  startService,
} from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// What the examples do; that they run as the documents say is told by snippets.test.ts.

const root = fileURLToPath(new URL('..', import.meta.url));
let redis: RedisService;
let postgres: PostgresService;
let producer: StartedService;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([provideRedis(), providePostgres()]);
  folder = await mkdtemp(join(tmpdir(), 'pushfleet-examples-'));
  const configPath = join(folder, 'pushfleet.yaml');
  await writeFile(
    configPath,
    'apps: { shop-prod: { topic: com.example.shop, environment: sandbox, transport: binary, credential: { p12: none.p12 } } }',
  );
  producer = await startService('producer', {
    redisUrl: redis.url,
    redisPrefix: redis.prefix,
    databaseUrl: postgres.url,
    configPath,
  });
  env = {
    PUSHFLEET_URL: `http://127.0.0.1:${producer.port}`,
    REDIS_URL: redis.url,
    PUSHFLEET_REDIS_PREFIX: redis.prefix,
  };
  // The schema is brought up to date in the background.
  await vi.waitFor(
    async () => {
      const { status } = await fetch(`${env.PUSHFLEET_URL}/v1/broadcasts?app=shop-prod`);
      expect(status).toBe(200);
    },
    { timeout: 30_000 },
  );
}, 90_000);
afterAll(async () => {
  await producer?.stop();
  await Promise.all([redis?.stop(), postgres?.stop()]);
  await rm(folder, { recursive: true, force: true });
}, 60_000);

/** Returns the one line of JSON that an example prints. */
async function runExample(name: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runProcess({ entry: join(root, 'examples', name), env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('a send over HTTP, however often it runs, is one push', async () => {
  const first = await runExample('send-over-http.ts');
  expect(first).toMatchObject({ state: 'queued', queued: 1 });
  expect(await runExample('send-over-http.ts')).toEqual(first);
});

test('a send from the library, one and many', async () => {
  expect(await runExample('send-from-library.ts')).toMatchObject({ count: 2_000 });
});

test('a broadcast to those with a tag', async () => {
  expect(await runExample('broadcast.ts')).toMatchObject({ imported: 1_000, audience: 750, enqueued: 750 });
});
