import {
  batchTraceKey,
  createBatchId,
  notificationId,
  type PushJobProgress,
  pushJobId,
} from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 1_500, seed: 13 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const get = (url: string) => probe.call('GET', url);

async function sendBatch(count: number, extra: object = {}): Promise<{ batchId: string; ids: string[] }> {
  const answer = await probe.call('POST', '/v1/notifications', {
    body: {
      app: 'shop',
      defaults: { alert: 'x' },
      notifications: tokens.slice(0, count).map((token) => ({ token })),
      ...extra,
    },
  });
  expect(answer.status).toBe(202);
  const { batchId, notificationIds } = answer.body;
  return { batchId, ids: notificationIds };
}

const jobKey = (batch: string, first: number) =>
  `${probe.prefix}:{shop}:transactional:${pushJobId(batch, first)}`;

async function setProgress(batch: string, first: number, progress: Partial<PushJobProgress>): Promise<void> {
  const whole: PushJobProgress = {
    v: 1,
    attempt: 0,
    remaining: [],
    accepted: { proved: 0, presumed: 0 },
    exceptions: [],
    resentUncertain: 0,
    ...progress,
  };
  await probe.redis.hset(jobKey(batch, first), 'progress', JSON.stringify(whole));
}

/** What the sweeper writes of a push job, and what the worker leaves: the job is gone. */
async function report(
  batch: string,
  size: number,
  first: number,
  count: number,
  rejected: number[],
): Promise<void> {
  const { database } = probe.database.store;
  const accepted = count - rejected.length;
  await database.query(
    `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, rejected, first_settled_at, last_settled_at)
     values ($1, 'shop', 'transactional', $2, now(), $3, $4, now(), now())
     on conflict (id) do update set accepted_proved = batches.accepted_proved + $3, rejected = batches.rejected + $4`,
    [batch, size, accepted, rejected.length],
  );
  await database.query(
    `insert into batch_jobs (batch, first_index, count, accepted_proved, accepted_presumed, rejected, expired,
       cancelled, dead, resent_uncertain, settled_at) values ($1, $2, $3, $4, 0, $5, 0, 0, 0, 0, now())`,
    [batch, first, count, accepted, rejected.length],
  );
  for (const index of rejected) {
    await database.query(
      `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
       values ($1, $2, 'shop', $3, 'rejected', 'InvalidToken', 8, now())`,
      [batch, index, Buffer.from(tokens[index - 1]!, 'hex')],
    );
  }
}

const sumOf = (body: Record<string, number>) =>
  body.queued! + body.accepted! + body.rejected! + body.expired! + body.cancelled! + body.dead!;

test('a batch is told from enqueueing to its end, and its counts add up at every step', async () => {
  const { batchId, ids } = await sendBatch(1_500);
  expect(await get(`/v1/batches/${batchId}`)).toMatchObject({
    status: 200,
    body: { app: 'shop', lane: 'transactional', size: 1_500, state: 'queued', queued: 1_500, accepted: 0 },
  });
  expect((await get(`/v1/notifications/${ids[0]}`)).body).toMatchObject({ state: 'queued', app: 'shop' });

  await setProgress(batchId, 1, {
    remaining: [[601, 1_001]],
    accepted: { proved: 599, presumed: 0 },
    exceptions: [
      { index: 7, token: tokens[6]!, outcome: 'rejected', reason: 'InvalidToken', status: 8, atMs: 1_000 },
    ],
  });
  const midway = (await get(`/v1/batches/${batchId}`)).body;
  expect(midway).toMatchObject({ queued: 900, accepted: 599, rejected: 1, state: 'queued' });
  expect(sumOf(midway)).toBe(1_500);
  expect((await get(`/v1/notifications/${ids[6]}`)).body).toMatchObject({
    state: 'rejected',
    reason: 'InvalidToken',
    gatewayStatus: 8,
  });
  expect((await get(`/v1/notifications/${ids[7]}`)).body).toMatchObject({
    state: 'accepted',
    certainty: 'proved',
  });
  expect((await get(`/v1/notifications/${ids[600]}`)).body).toMatchObject({ state: 'queued' });

  // The report is applied while the job is still there: it is counted once.
  await report(batchId, 1_500, 1, 1_000, [7]);
  const both = (await get(`/v1/batches/${batchId}`)).body;
  expect(both).toMatchObject({ queued: 500, accepted: 999, rejected: 1 });

  await probe.redis.del(jobKey(batchId, 1), jobKey(batchId, 1_001));
  await report(batchId, 1_500, 1_001, 500, []);
  const end = (await get(`/v1/batches/${batchId}`)).body;
  expect(end).toMatchObject({ state: 'finished', queued: 0, accepted: 1_499, rejected: 1 });
  expect((await get(`/v1/notifications/${ids[6]}`)).body).toMatchObject({
    state: 'rejected',
    gatewayStatus: 8,
  });
  expect((await get(`/v1/notifications/${ids[1_400]}`)).body).toMatchObject({ state: 'accepted' });
});

test('a batch of which Redis has only later jobs is told and cancelled like any other', async () => {
  const { batchId, ids } = await sendBatch(1_500);
  await report(batchId, 1_500, 1, 1_000, []);
  await probe.redis.del(jobKey(batchId, 1));
  expect((await get(`/v1/notifications/${ids[1_400]}`)).body).toMatchObject({ state: 'queued' });
  const cancelled = await probe.call('DELETE', `/v1/batches/${batchId}`);
  expect(cancelled).toMatchObject({ status: 202, body: { queued: 500 } });
});

test('a batch whose report is on its way is known, and is settling', async () => {
  const batch = createBatchId();
  await probe.redis.set(
    batchTraceKey(probe.prefix, 'news', batch),
    JSON.stringify({ lane: 'bulk', size: 2 }),
  );
  expect((await get(`/v1/batches/${batch}`)).body).toMatchObject({
    app: 'news',
    lane: 'bulk',
    size: 2,
    queued: 2,
  });
  expect((await get(`/v1/notifications/${notificationId(batch, 2)}`)).body).toMatchObject({
    state: 'settling',
  });
  expect((await get(`/v1/notifications/${notificationId(batch, 3)}`)).status).toBe(404);
});

test('a single send is a batch of one under its own id', async () => {
  const answer = await probe.call('POST', '/v1/notifications', {
    body: { app: 'shop', token: tokens[0], alert: 'x' },
  });
  const { batchId } = answer.body;
  const told = await get(`/v1/batches/${batchId}`);
  expect(told.body).toMatchObject({ batchId, size: 1, queued: 1, state: 'queued' });
});

test('a scheduled send says when', async () => {
  const sendAt = Math.floor(Date.now() / 1000) + 3_600;
  const { ids } = await sendBatch(1, { sendAt });
  expect((await get(`/v1/notifications/${ids[0]}`)).body).toMatchObject({ state: 'queued' });
  expect(Date.parse((await get(`/v1/notifications/${ids[0]}`)).body.sendAt) / 1000).toBeCloseTo(sendAt, 0);
});

test.each([
  ['/v1/batches/x', 400, 'invalid-request'],
  [`/v1/batches/${createBatchId()}`, 404, 'unknown-batch'],
  ['/v1/batches/123e4567-e89b-12d3-a456-426614174000', 404, 'unknown-batch'],
  ['/v1/notifications/x', 400, 'invalid-request'],
  [`/v1/notifications/${createBatchId()}`, 404, 'unknown-notification'],
  [`/v1/notifications/${notificationId(createBatchId(), 1)}`, 404, 'unknown-notification'],
])('%s is answered %i', async (url, status, code) => {
  expect(await get(url)).toMatchObject({ status, body: { code } });
});
