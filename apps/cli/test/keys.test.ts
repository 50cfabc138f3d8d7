import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('a key for an app that the configuration does not name is refused, with the name that was meant', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-keys-'));
  const config = join(folder, 'pushfleet.yaml');
  await writeFile(
    config,
    'apps: { shop-prod: { topic: com.example.shop, environment: production, transport: http2, credential: { cert: a.pem } } }',
  );
  const create = ['keys', 'create', 'stray', '--scope', 'send', '--json', '--app'];
  const wrong = await runCli([...create, 'shop-prd'], { ...env, PUSHFLEET_CONFIG: config });
  expect(wrong).toMatchObject({ exitCode: 1, json: { error: { code: 'app-unknown' } } });
  expect(wrong.stdout).toContain('did you mean shop-prod?');
  expect(await runCli([...create, 'shop-prod'], { ...env, PUSHFLEET_CONFIG: config })).toMatchObject({
    exitCode: 0,
  });
});

test('a key is rotated under its name, expires, and the audit log tells who did it', async () => {
  const made = await runCli(
    ['keys', 'create', 'rotated', '--scope', 'broadcast', 'cancel', '--expires', '90d', '--json'],
    env,
  );
  const rotate = ['keys', 'rotate', 'rotated', '--overlap', '1h', '--expires', '30d', '--json'];
  const rotated = await runCli(rotate, env);
  expect(rotated.json).toMatchObject({ name: 'rotated', id: made.json.id, scopes: ['broadcast', 'cancel'] });
  expect(rotated.json.key).not.toBe(made.json.key);
  const inDays = (text: unknown) => Math.round((Date.parse(text as string) - Date.now()) / 86_400_000);
  expect([inDays(made.json.expiresAt), inDays(rotated.json.expiresAt)]).toEqual([90, 30]);
  expect(Date.parse(rotated.json.previousUntil as string)).toBeLessThanOrEqual(Date.now() + 3_600_000);
  expect((await runCli(['keys', 'list'], env)).stdout).toMatch(
    /^rotated .* never +expires .*, two secrets until/m,
  );
  await runCli(['keys', 'revoke', (made.json.id as string).toUpperCase()], env);
  expect(await runCli(['keys', 'rotate', 'rotated', '--json'], env)).toMatchObject({
    exitCode: 1,
    json: { error: { code: 'key-unknown' } },
  });

  const { json, stdout } = await runCli(
    ['audit', '--target', made.json.id as string, '--since', '1h', '--json'],
    { ...env, SSH_CONNECTION: '192.0.2.7 50000 192.0.2.1 22' },
  );
  expect(json).toMatchObject({
    entries: [
      { action: 'key.revoke', before: { name: 'rotated' }, after: null, result: 'done' },
      { action: 'key.rotate', actor: { kind: 'cli', id: expect.stringMatching(/^.+@.+$/) } },
      { action: 'key.create', before: null, after: { scopes: ['broadcast', 'cancel'] } },
    ],
    next: null,
  });
  for (const { key } of [made.json, rotated.json]) expect(stdout).not.toContain((key as string).slice(-43));
  const table = await runCli(['audit', '--limit', '1', '--action', 'key.revoke'], env);
  expect(table.stdout).toMatch(/key\.revoke/);
  expect(table.stdout).toMatch(/^more: --after [0-9a-f-]{36}$/m);
});

test('keys are listed page by page', async () => {
  for (const name of ['page-1', 'page-2']) await runCli(['keys', 'create', name, '--scope', 'read'], env);
  const first = await runCli(['keys', 'list', '--limit', '1', '--json'], env);
  expect(first.json.keys).toMatchObject([{ name: 'page-2' }]);
  const second = await runCli(
    ['keys', 'list', '--limit', '1', '--after', first.json.next as string, '--json'],
    env,
  );
  expect(second.json.keys).toMatchObject([{ name: 'page-1' }]);
});

test.each([
  [['keys', 'create', 'x'], /--scope/],
  [['keys', 'create', 'x\u001b[2J', '--scope', 'send'], /printed/],
  [['keys', 'create', 'x', '--scope', 'send', '--expires', 'soon'], /duration/],
  [['audit', '--limit', '501'], /1 to 500/],
  [['keys', 'create', 'x', '--scope', 'root'], /scope/],
  [['keys', 'create', 'x', '--scope', 'send', '--rate', 'many'], /requests a second/],
])('%j is told what is wrong with it', async (args, message) => {
  const { exitCode, stderr } = await runCli(args, env);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
});
