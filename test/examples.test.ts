import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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

// What the README and the examples tell a reader to do, done as they tell it.

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

/** Gives the one line of JSON that an example prints. */
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

test('the first push of the README, as it stands there', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('## Your first push'), readme.indexOf('## With dashboards'));
  const [, send = '', ask = ''] = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const shell = (text: string) =>
    runProcess({
      command: 'sh',
      args: ['-c', text.replaceAll('http://127.0.0.1:8080', env.PUSHFLEET_URL!)],
    });
  const sent = await shell(send);
  expect({ code: sent.code, stderr: sent.stderr }).toEqual({ code: 0, stderr: '' });
  const { batchId, notificationIds } = JSON.parse(sent.stdout);
  expect(notificationIds).toEqual([batchId]);
  const asked = await shell(ask.replace('<batchId>', batchId));
  expect(JSON.parse(asked.stdout)).toMatchObject({ batchId, size: 1, state: 'queued' });

  // A snippet ends where it has what it was after; a program has to close what it opened.
  const [overHttp = '', fromLibrary = ''] = [...section.matchAll(/```ts\n([\s\S]*?)```/g)].map(
    ([, text]) => text!,
  );
  const programs = [
    overHttp.replace('http://127.0.0.1:8080', env.PUSHFLEET_URL!),
    `${fromLibrary}console.log({ notificationId });\nawait queue.close();\n`,
  ];
  for (const program of programs) {
    const file = join(root, 'examples', `.readme-${process.pid}.ts`);
    await writeFile(file, program);
    try {
      const { code, stdout, stderr } = await runProcess({ entry: file, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/(batchId|notificationId): '[0-9a-f-]{36}'/);
    } finally {
      await rm(file);
    }
  }
});
