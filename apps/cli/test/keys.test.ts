import { createTestDatabase } from '@pushfleet/testkit';
import { migrate } from '@pushfleet/token-store';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCli } from './run-cli.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  await migrate(database.url);
  env = { DATABASE_URL: database.url };
});
afterAll(() => database.drop());

test('a key is made, shown once, listed without its secret, and revoked', async () => {
  const create = [
    'keys',
    'create',
    'order-service',
    '--scope',
    'send',
    'read',
    '--app',
    'shop',
    '--rate',
    '50',
  ];
  const made = await runCli([...create, '--json'], env);
  expect(made.json).toMatchObject({
    key: expect.stringMatching(/^pf_[0-9a-f]{16}_[\w-]{43}$/),
    name: 'order-service',
    apps: ['shop'],
    scopes: ['send', 'read'],
    ratePerSecond: 50,
  });
  const again = await runCli([...create, '--json'], env);
  expect(again).toMatchObject({ exitCode: 1, json: { error: { code: 'name-taken' } } });
  const { stdout } = await runCli(['keys', 'list'], env);
  expect(stdout).toMatch(/^order-service +[0-9a-f]{16} +send read +shop +50/m);
  expect(stdout).not.toContain((made.json.key as string).slice(-43));
  expect((await runCli(['keys', 'revoke', 'order-service'], env)).stdout).toBe('order-service is revoked\n');
  expect((await runCli(['keys', 'list', '--json'], env)).json.keys).toMatchObject([
    { name: 'order-service', revokedAt: expect.any(String) },
  ]);
  expect(await runCli(['keys', 'revoke', 'order-service', '--json'], env)).toMatchObject({
    exitCode: 1,
    json: { error: { code: 'key-unknown' } },
  });
});

test.each([
  [['keys', 'create', 'x'], /--scope/],
  [['keys', 'create', 'x', '--scope', 'root'], /scope/],
  [['keys', 'create', 'x', '--scope', 'send', '--rate', 'many'], /requests a second/],
])('%j is told what is wrong with it', async (args, message) => {
  const { exitCode, stderr } = await runCli(args, env);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
});
