import { createBatchId, notificationId } from '@pushfleet/push-queue';
import {
  createTestDatabase,
  generateTokens,
  type StartedService,
  startService,
  type TestDatabase,
} from '@pushfleet/testkit';
import { openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { apps, createFleetFile } from './fleet-files.ts';
import { runCli } from './run-cli.ts';

// Against a producer of its own. No worker takes what is sent.

const [app] = apps;
const [token = '', other = ''] = generateTokens({ count: 2, seed: 21 });
const unknown = '7b0e4c52-7d0a-4d3e-8f55-1c9b7a6f2e10';
let file: Awaited<ReturnType<typeof createFleetFile>>;
let database: TestDatabase;
let store: TokenStore;
let producer: StartedService;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [file, database] = await Promise.all([createFleetFile(), createTestDatabase(inject('databaseUrl'))]);
  producer = await startService('producer', {
    redisUrl: inject('redisUrl'),
    redisPrefix: `${inject('redisPrefix')}-status-commands`,
    databaseUrl: database.url,
    configPath: file.path,
  });
  store = openTokenStore({ connectionString: database.url });
  env = { PUSHFLEET_URL: `http://127.0.0.1:${producer.port}` };
  // The schema is brought up to date in the background.
  await vi.waitFor(async () => expect((await run('broadcasts', '--app', app)).exitCode).toBe(0), {
    timeout: 30_000,
  });
}, 90_000);
afterAll(async () => {
  await producer?.stop();
  await store?.close();
  await Promise.all([file?.remove(), database?.drop()]);
});

const run = (...args: string[]) => runCli(args, env);

async function send(...more: string[]): Promise<string> {
  const { json } = await run('send', '--app', app, '--token', token, '--alert', 'x', '--json', ...more);
  return json.batchId as string;
}

/** What the sweeper writes of a batch of two of which the second was refused. */
async function report(batch: string): Promise<void> {
  await store.database.query(
    `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, rejected, first_settled_at, last_settled_at)
     values ($1, $2, 'bulk', 2, now(), 1, 1, now(), now())`,
    [batch, app],
  );
  await store.database.query(
    `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
     values ($1, 2, $2, $3, 'rejected', 'Unregistered', 410, '2030-01-31T12:00:00Z')`,
    [batch, app, Buffer.from(token, 'hex')],
  );
}

test('status tells of a notification, a batch and a broadcast by its id', async () => {
  const id = notificationId(await send(), 1);
  const notification = await run('status', id.toUpperCase());
  expect(notification.stdout).toMatch(`notification ${id} of ${app}, transactional\nqueued\nenqueued 20`);
  const batch = createBatchId();
  await report(batch);
  expect((await run('status', batch)).stdout).toMatch(
    `batch ${batch} of ${app}, bulk\nfinished: 2 in all, 1 accepted, 1 rejected\n`,
  );
  expect((await run('status', batch, '--json')).json).toMatchObject({ batchId: batch, rejected: 1 });
  const started = await run('broadcast', '--app', app, '--all', '--alert', 'x', '--json');
  const broadcast = started.json.broadcastId as string;
  expect((await run('status', broadcast)).stdout).toMatch(`broadcast ${broadcast} of ${app}, bulk\n`);
  const list = await run('broadcasts', '--app', app);
  expect(list.stdout).toMatch(/^broadcast +created +state +done/);
  expect(list.stdout).toContain(broadcast);
});

test('exceptions are a table, JSON, or CSV', async () => {
  const batch = createBatchId();
  await report(batch);
  const id = notificationId(batch, 2);
  const text = await run('exceptions', batch);
  expect(text.stdout).toContain(`${id}  ${token}  rejected  Unregistered (410)  2030-01-31T12:00:00.000Z`);
  const exception = { notificationId: id, token, outcome: 'rejected', reason: 'Unregistered' };
  expect((await run('exceptions', id, '--json')).json).toMatchObject({ exceptions: [exception] });
  const csv = await run('exceptions', batch, '--csv');
  expect(csv.stdout).toBe(
    `index,notificationId,token,outcome,reason,gatewayStatus,at\r\n2,${id},${token},rejected,Unregistered,410,2030-01-31T12:00:00.000Z\r\n`,
  );
  expect(await run('exceptions', batch, '--csv', '--json')).toMatchObject({ exitCode: 2 });
  expect((await run('exceptions', await send())).stdout).toBe('no exceptions so far\n');
});

test('exceptions of a broadcast name its devices', async () => {
  const started = await run('broadcast', '--app', app, '--tag', 'none', '--alert', 'x', '--json');
  const id = started.json.broadcastId as string;
  const batch = createBatchId();
  await report(batch);
  await store.database.query('insert into broadcast_chunks values ($1, 0, $2, 2)', [id, batch]);
  expect((await run('exceptions', id)).stdout).toContain(`${token}  rejected  Unregistered (410)`);
  expect((await run('exceptions', id, '--csv')).stdout).toContain(`\r\n${batch},2,`);
});

test('cancel says whether it was requested already', async () => {
  const id = await send();
  expect((await run('cancel', id)).stdout).toBe(
    'cancellation requested; 1 queued, which workers end as cancelled\n',
  );
  expect((await run('status', id)).stdout).toMatch(/\ncancellation requested 20/);
  expect((await run('cancel', id)).stdout).toMatch(
    /^cancellation was requested already, at 20.*; 1 queued\n$/,
  );
  const started = await run('broadcast', '--app', app, '--all', '--alert', 'x', '--json');
  const broadcast = await run('cancel', started.json.broadcastId as string);
  expect(broadcast.stdout).toMatch(/\ncancelled\n/);
});

test.each(['status', 'exceptions', 'cancel'])(
  '%s of what is no id, or is unknown, is told',
  async (command) => {
    const wrong = await run(command, 'order-7');
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/order-7 is no id/) });
    for (const [id, what] of [
      [unknown, 'broadcast'],
      [createBatchId(), 'batch'],
    ] as const) {
      const { exitCode, json } = await run(command, id, '--json');
      expect({ exitCode, json }).toMatchObject({ exitCode: 1, json: { error: { code: `unknown-${what}` } } });
    }
  },
);

test('a device is shown', async () => {
  await fetch(`${env.PUSHFLEET_URL}/v1/devices/${other}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app, userId: 'anna', tags: ['vip'] }),
  });
  const { stdout } = await run('devices', 'show', other, '--app', app);
  expect(stdout).toMatch(`device ${other} of ${app}\nactive\nuser anna\ntags vip\nregistered 20`);
  expect(await run('devices', 'show', token, '--app', app)).toMatchObject({ exitCode: 1 });
  expect((await run('devices', 'show', '--user', 'anna', '--app', app)).stdout).toBe(stdout);
  expect((await run('devices', 'show', '--user', 'bert', '--app', app)).stdout).toBe(
    `${app} has no device of bert\n`,
  );
  expect(await run('devices', 'show', '--app', app)).toMatchObject({ exitCode: 2 });
});

test('a send that waits prints its batch first, and says after its time what is still awaited', async () => {
  await fetch(`${env.PUSHFLEET_URL}/v1/apps/${app}/pause`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'certificate renewal' }),
  });
  const args = ['send', '--app', app, '--token', token, '--alert', 'x', '--wait', '--timeout', '1'];
  const { exitCode, stdout, stderr } = await run(...args);
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^batch [0-9a-f-]{36}, 1 notification\n1 queued\n$/);
  expect(stderr).toMatch(/^waiting up to 1 s/);
  expect(stderr).toMatch(/pushfleet status [0-9a-f-]{36}/);
  expect(stderr).toMatch(/is paused \(operator\): certificate renewal/);
  expect(stderr).toMatch(/no worker serves/);
  const { json } = await run(...args, '--json');
  expect(json).toMatchObject({ batchId: expect.any(String), batch: { state: 'queued', queued: 1 } });
});

test('the version is printed, with the commit and Node.js', async () => {
  expect(await run('--version')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(
      /^\d+\.\d+\.\d+ \(commit (?:[0-9a-f]{40}|unknown), Node\.js v\d+\.\d+\.\d+\)\n$/,
    ),
  });
});

test('exceptions are found by device and by user', async () => {
  const batch = createBatchId();
  await report(batch);
  await store.devices.register(app, { token: token as never, userId: 'dora' });
  const wanted = notificationId(batch, 2);
  for (const of of [
    ['--user', 'dora'],
    ['--token', token],
  ]) {
    expect((await run('exceptions', '--app', app, ...of)).stdout).toContain(wanted);
    expect((await run('exceptions', '--app', app, ...of, '--csv')).stdout).toContain(`${batch},2,${wanted}`);
  }
  for (const wrong of [[], ['--user', 'dora'], [batch, '--app', app, '--user', 'dora']]) {
    expect(await run('exceptions', ...wrong)).toMatchObject({ exitCode: 2 });
  }
});
