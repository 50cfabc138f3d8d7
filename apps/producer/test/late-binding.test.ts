import { randomUUID } from 'node:crypto';
import {
  createBatchId,
  createPushQueue,
  liftPauses,
  pauseApp,
  readCancellation,
} from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { ScheduledSendRunner } from '../src/notifications/scheduled-send-runner.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

// What is sent to a user reaches the devices that are the user's when it goes out, whatever was when it was made.

const tokens = generateTokens({ count: 400, seed: 31 });
const patience = { timeout: 30_000, interval: 20 };
let next = 0;
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const newToken = () => tokens[next++]!;
const newUser = () => `user-${randomUUID().slice(0, 8)}`;
const register = (token: string, userId: string | null) =>
  probe.call('PUT', `/v1/devices/${token}`, { body: { app: 'shop', userId } });
const send = (body: object, headers = {}) =>
  probe.call('POST', '/v1/notifications', { body: { app: 'shop', ...body }, headers });
const batchOf = async (id: string) => (await probe.call('GET', `/v1/batches/${id}`)).body;
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();
/** What a user is to have at noon is due now. */
const makeDue = (id: string) =>
  probe.database.store.database.query(
    `update scheduled_sends set send_at = now(), lease_until = '-infinity' where id = $1`,
    [id],
  );
const eventsOf = async (id: string) =>
  (
    await probe.database.store.database.query<{ payload: object }>(
      `select payload from events where kind = 'batch.finished' and payload->>'batch' = $1`,
      [id],
    )
  ).rows.map(({ payload }) => payload);

/** Tokens that were enqueued as a batch; undefined: it is not in the queue. */
async function tokensIn(batch: string): Promise<string[] | undefined> {
  const jobs = (await probe.jobs('shop')).filter((job) => job.batch === batch);
  if (jobs.length === 0) return undefined;
  return jobs.flatMap((job) => {
    const all = Buffer.from(job.tokens, 'base64').toString('hex');
    return Array.from({ length: job.count }, (_, place) => all.slice(place * 64, (place + 1) * 64));
  });
}

test('a device that has moved to somebody else gets nothing, one that was added gets it', async () => {
  const [anna, bert] = [newUser(), newUser()];
  const [moved, stays, added, signedOut] = [newToken(), newToken(), newToken(), newToken()];
  for (const token of [moved, stays, signedOut]) await register(token, anna);
  const { status, body } = await send({ userId: anna, alert: 'x', sendAt: inSeconds(3_600) });
  expect(status).toBe(202);
  expect(body).toEqual({ batchId: expect.any(String), notificationIds: [] });
  expect(await batchOf(body.batchId)).toMatchObject({ state: 'queued', size: 1, queued: 1 });
  expect(await tokensIn(body.batchId)).toBeUndefined();
  await register(moved, bert);
  await register(added, anna);
  await register(signedOut, null);
  await makeDue(body.batchId);
  await expect.poll(() => tokensIn(body.batchId), patience).toBeDefined();
  expect((await tokensIn(body.batchId))!.toSorted()).toEqual([stays, added].toSorted());
  await expect.poll(() => batchOf(body.batchId)).toMatchObject({ state: 'queued', size: 2, queued: 2 });
  const id = body.batchId.replace(/0{8}$/, '00000002');
  expect(await probe.call('GET', `/v1/notifications/${id}`)).toMatchObject({
    body: { state: 'queued' },
  });
});

test('users without a device when it was made get it too; who has none when it goes out is named', async () => {
  const [anna, bert, carl] = [newUser(), newUser(), newUser()];
  const [one, two, three] = [newToken(), newToken(), newToken()];
  await register(one, carl);
  const { body } = await send({
    defaults: { alert: 'x' },
    notifications: [{ userId: anna }, { userId: bert }, { userId: carl }, { token: three }],
    sendAt: inSeconds(3_600),
  });
  expect(body.usersWithoutDevices).toEqual([anna, bert]);
  await register(two, anna);
  await register(one, null);
  await makeDue(body.batchId);
  await expect.poll(() => tokensIn(body.batchId), patience).toEqual([two, three]);
  await expect
    .poll(() => batchOf(body.batchId), patience)
    .toMatchObject({
      size: 2,
      usersWithoutDevices: [bert, carl],
    });
});

test('when nobody has a device then, it ends and says why', async () => {
  const user = newUser();
  const { status, body } = await send({ userId: user, alert: 'x', sendAt: inSeconds(3_600) });
  expect(status).toBe(202);
  await makeDue(body.batchId);
  await expect
    .poll(() => batchOf(body.batchId), patience)
    .toMatchObject({
      state: 'finished',
      size: 1,
      rejected: 1,
      queued: 0,
      error: 'none of the users has a device that is active',
      usersWithoutDevices: [user],
    });
  expect(await eventsOf(body.batchId)).toMatchObject([{ size: 1, rejected: 1 }]);
  expect(await probe.call('GET', `/v1/batches/${body.batchId}/exceptions`)).toMatchObject({ status: 200 });
});

test('one that is cancelled does not go out, and is told once', async () => {
  const user = newUser();
  await register(newToken(), user);
  const { body } = await send({ userId: user, alert: 'x', sendAt: inSeconds(3_600) });
  const url = `/v1/batches/${body.batchId}`;
  expect(await probe.call('GET', `${url}/exceptions`)).toMatchObject({
    body: { exceptions: [], next: null },
  });
  expect(await probe.call('DELETE', url)).toMatchObject({ status: 202, body: { queued: 1 } });
  expect(await batchOf(body.batchId)).toMatchObject({ state: 'finished', cancelled: 1, size: 1 });
  expect(await probe.call('DELETE', url)).toMatchObject({ status: 409, body: { code: 'already-settled' } });
  await makeDue(body.batchId);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await tokensIn(body.batchId)).toBeUndefined();
  expect(await eventsOf(body.batchId)).toMatchObject([{ size: 1, cancelled: 1, rejected: 0 }]);
});

test('a repeated key is answered as the first call was, before it goes out and after', async () => {
  const [anna, bert] = [newUser(), newUser()];
  await register(newToken(), anna);
  const request = {
    defaults: { alert: 'x' },
    notifications: [{ userId: anna }, { userId: bert }],
    sendAt: inSeconds(3_600),
  };
  const key = { 'idempotency-key': randomUUID() };
  const first = await send(request, key);
  expect(first.body.usersWithoutDevices).toEqual([bert]);
  await register(newToken(), bert);
  expect((await send(request, key)).body).toEqual({ ...first.body, replayed: true });
  expect(await send({ ...request, defaults: { alert: 'y' } }, key)).toMatchObject({ status: 409 });
  // Also of another kind.
  expect(await send({ token: newToken(), alert: 'x' }, key)).toMatchObject({ status: 409 });
  await makeDue(first.body.batchId);
  await expect.poll(() => tokensIn(first.body.batchId), patience).toHaveLength(2);
  expect((await send(request, key)).body).toEqual({ ...first.body, replayed: true });
  expect((await probe.jobs('shop')).filter(({ batch }) => batch === first.body.batchId)).toHaveLength(1);
});

test('a repeated key of what goes out at once names the users without devices again', async () => {
  const [anna, bert, carl] = [newUser(), newUser(), newUser()];
  await register(newToken(), bert);
  const request = {
    defaults: { alert: 'x' },
    notifications: [anna, bert, carl].map((userId) => ({ userId })),
  };
  const key = { 'idempotency-key': randomUUID() };
  const first = await send(request, key);
  expect(first.body).toMatchObject({ usersWithoutDevices: [anna, carl] });
  await register(newToken(), anna);
  expect((await send(request, key)).body).toEqual({ ...first.body, replayed: true });
});

test('what a key was given for and never written down is written down by the call that repeats it', async () => {
  const user = newUser();
  const token = newToken();
  await register(token, user);
  const request = { userId: user, alert: 'x', sendAt: inSeconds(3_600) };
  const key = { 'idempotency-key': randomUUID() };
  const { body } = await send(request, key);
  // As after a crash between the two.
  await probe.database.store.database.query('delete from scheduled_sends where id = $1', [body.batchId]);
  expect((await send(request, key)).body).toEqual({ ...body, replayed: true });
  await makeDue(body.batchId);
  await expect.poll(() => tokensIn(body.batchId), patience).toEqual([token]);
});

test('expirations count from when it was meant to go out', async () => {
  const user = newUser();
  await register(newToken(), user);
  const { body } = await send({ userId: user, alert: 'x', ttl: 600, sendAt: inSeconds(3_600) });
  await probe.database.store.database.query(
    `update scheduled_sends set send_at = now() - interval '1 hour' where id = $1`,
    [body.batchId],
  );
  await expect.poll(() => tokensIn(body.batchId), patience).toHaveLength(1);
  const [job] = (await probe.jobs('shop')).filter(({ batch }) => batch === body.batchId);
  const expiresAt = [job!.expiration].flat()[0]!;
  // A worker ends it as expired, as it does with what was late in the queue.
  expect(expiresAt).toBeLessThan(Date.now() / 1_000 - 2_900);
});

test('while the app rests it stays unbound', async () => {
  const [anna, bert] = [newUser(), newUser()];
  const token = newToken();
  await register(token, anna);
  const control = { redis: probe.redis, prefix: probe.prefix };
  await pauseApp(control, 'shop', { cause: 'operator', reason: 'test', sinceMs: 1 });
  const { body } = await send({ userId: anna, alert: 'x', sendAt: inSeconds(3_600) });
  await makeDue(body.batchId);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(await tokensIn(body.batchId)).toBeUndefined();
  await register(token, bert);
  await register(newToken(), anna);
  await liftPauses(control, 'shop', ['operator']);
  await expect.poll(() => tokensIn(body.batchId), patience).toHaveLength(1);
  expect(await tokensIn(body.batchId)).not.toContain(token);
});

test('several producers and a slow one: it goes out once, and what is cancelled beside that is cancelled', async () => {
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
  const runners = Array.from(
    { length: 3 },
    () =>
      new ScheduledSendRunner({
        database: probe.database,
        queue,
        redis: { redis: probe.redis, prefix: probe.prefix },
        logger: probe.logger,
        apps: ['shop'],
        pollMs: 5,
        // Each is taken again and again while it is under way.
        leaseMs: 1,
      }),
  );
  onTestFinished(async () => {
    await Promise.all(runners.map((runner) => runner.close()));
    await queue.close();
  });
  const sends = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const user = newUser();
      await register(newToken(), user);
      return (await send({ userId: user, alert: 'x', sendAt: inSeconds(3_600) })).body.batchId as string;
    }),
  );
  await Promise.all(
    sends.map(async (id, place) => {
      await makeDue(id);
      if (place % 2 === 1) await probe.call('DELETE', `/v1/batches/${id}`);
    }),
  );
  await expect
    .poll(async () => {
      const { rows } = await probe.database.store.database.query(
        `select from scheduled_sends where id = any($1::uuid[]) and state in ('waiting', 'cancelling')`,
        [sends],
      );
      return rows.length;
    }, patience)
    .toBe(0);
  const control = { redis: probe.redis, prefix: probe.prefix };
  for (const [place, id] of sends.entries()) {
    const { state } = (await probe.database.store.scheduledSends.get(id))!;
    const found = (await tokensIn(id))?.length ?? 0;
    expect([place, found]).toEqual([place, state === 'enqueued' ? 1 : 0]);
    if (place % 2 === 0) expect(state).toBe('enqueued');
    else if (found === 1) expect((await readCancellation(control, 'shop', id))?.whole).toBe(true);
    else expect(await eventsOf(id)).toHaveLength(1);
  }
});

test('what waits is bounded, and what has gone out or was cancelled makes room', async () => {
  const { scheduledSends } = probe.database.store;
  const app = 'news';
  const create = (size: number, bytes: number, id = createBatchId()) =>
    scheduledSends
      .create(
        {
          id,
          app,
          lane: 'bulk',
          size,
          sendAt: new Date(Date.now() + 3_600_000),
          call: { x: 'x'.repeat(bytes) },
        },
        { notifications: 10, bytes: 1_000 },
      )
      .then((used) => ({ id, used }));
  const first = await create(6, 10);
  expect(first.used).toBeUndefined();
  expect((await create(5, 10)).used).toMatchObject({ notifications: 6 });
  // The same again is not more.
  expect((await create(6, 10, first.id)).used).toBeUndefined();
  expect((await create(1, 2_000)).used).toMatchObject({ notifications: 6 });
  expect((await create(4, 10)).used).toBeUndefined();
  await probe.call('DELETE', `/v1/batches/${first.id}`);
  expect((await create(6, 10)).used).toBeUndefined();
  expect((await create(1, 10)).used).toMatchObject({ notifications: 10 });
});
