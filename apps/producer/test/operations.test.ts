import { randomUUID } from 'node:crypto';
import {
  beatWorker,
  cancelledKey,
  createBatchId,
  type DeadLetter,
  notificationId,
  type PoisonedLetter,
  type PushJobData,
  pushJobId,
  removeWorker,
} from '@pushfleet/push-queue';
import { DeadLetters, WorkerLink } from '@pushfleet/push-queue/worker';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 3, seed: 16 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

async function sendBatch(extra: object = {}): Promise<{ batchId: string; notificationIds: string[] }> {
  const body = {
    app: 'shop',
    defaults: { alert: 'x' },
    notifications: tokens.map((token) => ({ token })),
    ...extra,
  };
  return (await probe.call('POST', '/v1/notifications', { body })).body;
}

test('cancelling a batch or a notification marks what is not yet sent', async () => {
  const { batchId, notificationIds } = await sendBatch();
  const key = cancelledKey(probe.prefix, 'shop', batchId);
  expect(await probe.call('DELETE', `/v1/notifications/${notificationIds[1]}`)).toMatchObject({
    status: 202,
    body: { id: notificationIds[1], queued: 1 },
  });
  expect(await probe.redis.smembers(key)).toEqual(['2']);
  expect(await probe.call('DELETE', `/v1/batches/${batchId}`)).toMatchObject({
    status: 202,
    body: { queued: 3 },
  });
  expect((await probe.redis.smembers(key)).toSorted()).toEqual(['0', '2']);
});

test('a single send is cancelled by its id, as a batch too, and nobody else with it', async () => {
  const body = { app: 'shop', token: tokens[0], alert: 'x' };
  const [mine, other] = await Promise.all(
    [1, 2].map(() => probe.call('POST', '/v1/notifications', { body })),
  );
  const id = mine!.body.batchId;
  expect(await probe.call('DELETE', `/v1/batches/${id}`)).toMatchObject({ status: 202, body: { queued: 1 } });
  expect(other!.body.batchId).not.toBe(id);
});

test('a requested cancellation is seen at once, and a second request says that it was asked already', async () => {
  const { batchId, notificationIds } = await sendBatch({ sendAt: Math.floor(Date.now() / 1000) + 3_600 });
  const get = async (path: string) => (await probe.call('GET', `/v1/${path}`)).body;
  expect(await get(`batches/${batchId}`)).not.toHaveProperty('cancelRequestedAt');
  expect(await get(`notifications/${notificationIds[0]}`)).not.toHaveProperty('cancelRequestedAt');

  const [one, ...others] = notificationIds;
  const first = await probe.call('DELETE', `/v1/notifications/${one}`);
  expect(first.body).toEqual({ id: one, queued: 1, cancelRequestedAt: expect.any(String) });
  const { cancelRequestedAt } = first.body;
  expect(await get(`notifications/${one}`)).toMatchObject({ state: 'queued', cancelRequestedAt });
  expect(await get(`notifications/${others[0]}`)).not.toHaveProperty('cancelRequestedAt');
  expect(await get(`batches/${batchId}`)).not.toHaveProperty('cancelRequestedAt');
  const second = await probe.call('DELETE', `/v1/notifications/${one}`);
  expect(second).toMatchObject({
    status: 202,
    body: { queued: 1, alreadyRequested: true, cancelRequestedAt },
  });

  // All of a batch one by one is the batch.
  for (const id of others) await probe.call('DELETE', `/v1/notifications/${id}`);
  expect(await get(`batches/${batchId}`)).toMatchObject({
    state: 'queued',
    queued: 3,
    cancelRequestedAt: expect.any(String),
  });
});

test('the request to cancel a batch is seen at each of its notifications that is queued', async () => {
  const { batchId, notificationIds } = await sendBatch();
  const first = await probe.call('DELETE', `/v1/batches/${batchId}`);
  expect(first.body).not.toHaveProperty('alreadyRequested');
  const batch = await probe.call('GET', `/v1/batches/${batchId}`);
  const { cancelRequestedAt } = batch.body;
  expect(cancelRequestedAt).toEqual(expect.any(String));
  const second = await probe.call('DELETE', `/v1/batches/${batchId}`);
  expect(second).toMatchObject({
    status: 202,
    body: { queued: 3, alreadyRequested: true, cancelRequestedAt },
  });
  const again = await probe.call('DELETE', `/v1/notifications/${notificationIds[1]}`);
  expect(again.body).toMatchObject({ alreadyRequested: true, cancelRequestedAt });
  await probe.redis.hset(
    `${probe.prefix}:{shop}:transactional:${pushJobId(batchId, 1)}`,
    'progress',
    JSON.stringify({
      v: 1,
      attempt: 0,
      remaining: [[2, 4]],
      accepted: { proved: 1, presumed: 0 },
      exceptions: [],
      resentUncertain: 0,
    }),
  );
  const told = await Promise.all(notificationIds.map((id) => probe.call('GET', `/v1/notifications/${id}`)));
  expect(told.map(({ body }) => [body.state, body.cancelRequestedAt])).toEqual([
    ['accepted', undefined],
    ['queued', cancelRequestedAt],
    ['queued', cancelRequestedAt],
  ]);
});

test('a cancelled single send says so under both of its ids', async () => {
  const body = { app: 'shop', token: tokens[0], alert: 'x', sendAt: Math.floor(Date.now() / 1000) + 3_600 };
  const id = (await probe.call('POST', '/v1/notifications', { body })).body.batchId;
  await probe.call('DELETE', `/v1/batches/${id}`);
  for (const path of ['batches', 'notifications']) {
    expect((await probe.call('GET', `/v1/${path}/${id}`)).body).toMatchObject({
      state: 'queued',
      cancelRequestedAt: expect.any(String),
    });
    expect((await probe.call('DELETE', `/v1/${path}/${id}`)).body).toMatchObject({ alreadyRequested: true });
  }
});

test('a mark outlives the time that a scheduled batch is meant for', async () => {
  const { batchId } = await sendBatch({ sendAt: Math.floor(Date.now() / 1000) + 20 * 86_400 });
  await probe.call('DELETE', `/v1/batches/${batchId}`);
  const leftMs = await probe.redis.pttl(cancelledKey(probe.prefix, 'shop', batchId));
  expect(leftMs).toBeGreaterThan(21 * 86_400_000);
});

test('what is unknown or has left the queue cannot be cancelled', async () => {
  expect(await probe.call('DELETE', `/v1/batches/${createBatchId()}`)).toMatchObject({
    status: 404,
    body: { code: 'unknown-batch' },
  });
  expect(await probe.call('DELETE', `/v1/notifications/${notificationId(createBatchId(), 1)}`)).toMatchObject(
    {
      status: 404,
      body: { code: 'unknown-notification' },
    },
  );
  const { batchId, notificationIds } = await sendBatch();
  await probe.redis.hset(
    `${probe.prefix}:{shop}:transactional:${pushJobId(batchId, 1)}`,
    'progress',
    JSON.stringify({
      v: 1,
      attempt: 0,
      remaining: [[3, 4]],
      accepted: { proved: 2, presumed: 0 },
      exceptions: [],
      resentUncertain: 0,
    }),
  );
  expect(await probe.call('DELETE', `/v1/notifications/${notificationIds[0]}`)).toMatchObject({
    status: 409,
    body: { code: 'already-settled' },
  });
  expect(await probe.call('DELETE', `/v1/batches/${batchId}`)).toMatchObject({
    status: 202,
    body: { queued: 1 },
  });
});

test('an app says which workers cannot send for it, and at which it is slowed', async () => {
  const control = { redis: probe.redis, prefix: probe.prefix };
  const sinceMs = Date.parse('2030-01-01T00:00:00Z');
  const trouble = { about: 'credential', reason: 'BadCertificate', sinceMs, checkedAtMs: sinceMs } as const;
  const worker = { host: 'blade', pid: 1, version: '0.1.0', sinceMs, apps: ['shop'] };
  const troubles = { shop: { ...trouble, untilMs: sinceMs + 30_000.5, isHold: false } };
  await beatWorker(control, { ...worker, id: 'a', troubles, slowed: {} }, 60_000);
  const slowed = { shop: { cause: 'timeouts', sinceMs } } as const;
  await beatWorker(control, { ...worker, id: 'b', troubles: {}, slowed }, 60_000);
  const since = '2030-01-01T00:00:00.000Z';
  const refused = { worker: 'a', host: 'blade', about: 'credential', reason: 'BadCertificate', since };
  expect((await probe.call('GET', '/v1/apps/shop')).body).toMatchObject({
    state: 'running',
    workers: 2,
    troubles: [{ ...refused, nextCheckAt: '2030-01-01T00:00:30.000Z' }],
    slowed: [{ worker: 'b', host: 'blade', cause: 'timeouts', since }],
  });
  expect((await probe.call('GET', '/v1/apps/news')).body).toMatchObject({ workers: 0, troubles: [] });
  await Promise.all(['a', 'b'].map((id) => removeWorker(control, id)));
});

test('the totals of an app are by lane, in the words of a batch', async () => {
  const shop = `${probe.prefix}:{shop}:totals`;
  const before = await probe.redis.hgetall(shop);
  await probe.redis.hset(shop, {
    ...{ 'enqueued:bulk': 20, 'accepted-proved:bulk': 7 },
    ...{
      'accepted-presumed:bulk': 5,
      'rejected:bulk': 3,
      'expired:bulk': 1,
      'cancelled:bulk': 1,
      'dead:bulk': 1,
    },
  });
  const { totals } = (await probe.call('GET', '/v1/apps/shop')).body;
  expect(totals.bulk).toEqual({
    ...{ enqueued: 20, queued: 2, accepted: 12, certainty: { proved: 7, presumed: 5 } },
    ...{ rejected: 3, expired: 1, cancelled: 1, dead: 1 },
  });
  expect(totals.transactional.enqueued).toBe(Number(before['enqueued:transactional'] ?? 0));
});

test('an app is paused, says why, and is resumed', async () => {
  const expiresAt = new Date('2030-01-31T12:00:00Z');
  await probe.database.store.appCredentials.note('shop', expiresAt);
  expect((await probe.call('GET', '/v1/apps')).body.apps).toMatchObject([
    { app: 'shop', state: 'running', pauses: [], credentialExpiresAt: expiresAt.toISOString() },
    { app: 'news', state: 'running' },
  ]);
  const paused = await probe.call('POST', '/v1/apps/news/pause', { body: { reason: 'maintenance' } });
  expect(paused).toMatchObject({
    status: 200,
    body: { state: 'paused', pauses: [{ cause: 'operator', reason: 'maintenance' }] },
  });
  await probe.call('POST', '/v1/notifications', { body: { app: 'news', token: tokens[0], alert: 'x' } });
  expect((await probe.call('GET', '/v1/apps/news')).body).toMatchObject({
    state: 'paused',
    queue: { transactional: { wait: 1, active: 0, delayed: 0 }, bulk: { wait: 0 } },
    deadLetters: 0,
    totals: { transactional: { enqueued: 1, queued: 1, accepted: 0 }, bulk: { enqueued: 0, queued: 0 } },
  });
  const resumed = await probe.call('POST', '/v1/apps/news/resume');
  expect(resumed).toMatchObject({ status: 200, body: { state: 'running', pauses: [] } });
  expect(await probe.call('POST', '/v1/apps/gone/pause')).toMatchObject({
    status: 404,
    body: { code: 'unknown-app' },
  });
  expect(await probe.call('POST', '/v1/apps/news/resume', { body: { causes: ['bad'] } })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'causes[0]' }] },
  });
});

/** As a worker leaves it. */
async function writeLetter(
  letter: DeadLetter | PoisonedLetter,
  id = `${createBatchId()}-1`,
): Promise<string> {
  const { prefix } = probe;
  const link = new WorkerLink({
    redis: probe.redis,
    prefix,
    lockDurationMs: 30_000,
    stalledIntervalMs: 30_000,
  });
  await link.open(5_000);
  await new DeadLetters(link, 'shop').keep(id, letter);
  await link.close();
  return id;
}

function deadJob(): PushJobData {
  const payloads = ['{"aps":{"alert":"a"}}', '{"aps":{"alert":"bb"}}'];
  return {
    v: 1,
    app: 'shop',
    lane: 'bulk',
    batch: createBatchId(),
    batchSize: 10,
    count: 3,
    index: [2, 5, 9],
    enqueuedAtMs: 1_700_000_000_000,
    tokens: Buffer.from(tokens.join(''), 'hex').toString('base64'),
    tokenLength: [32, 32, 32],
    payloads: Buffer.from(payloads.join('')).toString('base64'),
    payloadLength: payloads.map((text) => text.length),
    payloadOf: [0, 1, 0],
    expiration: [0, 1_700_000_100, 4_000_000_000],
    priority: [10, 5, 10],
    collapseId: [null, 'c', null],
  };
}

test('a dead letter is listed, shown, replayed once and gone', async () => {
  const job = deadJob();
  const reasons = { 2: 'uncertain', 5: 'attempts', 9: 'uncertain' };
  const id = await writeLetter({
    v: 1,
    reasons,
    deaths: { 5: { status: 1, atMs: 7_000 } },
    job,
    atMs: Date.now(),
  });
  const letters = '/v1/apps/shop/dead-letters';
  expect((await probe.call('GET', letters)).body).toMatchObject({
    total: 1,
    letters: [
      {
        id,
        kind: 'dead',
        count: 3,
        lane: 'bulk',
        batchId: job.batch,
        reasons: { uncertain: 2, attempts: 1 },
      },
    ],
  });
  expect((await probe.call('GET', `${letters}/${id}`)).body.notifications[1]).toEqual({
    notificationId: notificationId(job.batch, 5),
    index: 5,
    token: tokens[1],
    reason: 'attempts',
    status: 1,
    at: '1970-01-01T00:00:07.000Z',
  });
  const before = Math.floor(Date.now() / 1000);
  const replay = await probe.call('POST', `${letters}/${id}/replay`, { body: { ttl: 60 } });
  expect(replay.status).toBe(202);
  expect(replay.body.notificationIds).toHaveLength(3);
  const [again] = await probe.jobs('shop', 'bulk');
  expect(again).toMatchObject({
    batch: replay.body.batchId,
    count: 3,
    tokens: job.tokens,
    priority: [10, 5, 10],
    collapseId: [null, 'c', null],
  });
  const expiration = again!.expiration as number[];
  expect([expiration[0], expiration[2]]).toEqual([0, 4_000_000_000]);
  expect(expiration[1]).toBeGreaterThanOrEqual(before + 60);
  expect((await probe.call('GET', letters)).body.total).toBe(0);
  expect(await probe.call('POST', `${letters}/${id}/replay`)).toMatchObject({ status: 404 });
});

test('a letter that was replayed but not taken away is replayed once', async () => {
  const job = deadJob();
  const letter: DeadLetter = { v: 1, reasons: { 2: 'a', 5: 'a', 9: 'a' }, job, atMs: Date.now() };
  const id = await writeLetter(letter);
  const first = await probe.call('POST', `/v1/apps/shop/dead-letters/${id}/replay`);
  await writeLetter(letter, id);
  const second = await probe.call('POST', `/v1/apps/shop/dead-letters/${id}/replay`);
  expect(second.body).toEqual({ ...first.body, replayed: true });
});

test('a notification that is dead names its letter, and afterwards the batch that it was sent again as', async () => {
  const job = deadJob();
  const reasons = { 2: 'uncertain', 5: 'attempts', 9: 'uncertain' };
  const id = `${job.batch}-1`;
  await writeLetter({ v: 1, reasons, job, atMs: Date.now() }, id);
  const { database } = probe.database.store;
  await database.query(
    `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, dead, first_settled_at, last_settled_at)
     values ($1, 'shop', 'bulk', 10, now(), 7, 3, now(), now())`,
    [job.batch],
  );
  await database.query(
    `insert into batch_jobs (batch, first_index, count, accepted_proved, accepted_presumed, rejected, expired,
       cancelled, dead, resent_uncertain, settled_at) values ($1, 1, 10, 7, 0, 0, 0, 0, 3, 0, now())`,
    [job.batch],
  );
  await database.query(
    `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
     select $1, n, 'shop', decode($2, 'hex'), 'dead', 'uncertain', null, now() from unnest(array[2, 5, 9]) n`,
    [job.batch, tokens[0]],
  );
  const url = `/v1/notifications/${notificationId(job.batch, 5)}`;
  const dead = await probe.call('GET', url);
  expect(dead.body).toMatchObject({
    state: 'dead',
    deadLetter: { id, replay: `/v1/apps/shop/dead-letters/${id}/replay` },
  });
  expect(
    (await probe.call('GET', `/v1/notifications/${notificationId(job.batch, 4)}`)).body,
  ).not.toHaveProperty('deadLetter');
  const replay = await probe.call('POST', dead.body.deadLetter.replay);
  expect(replay.status).toBe(202);
  const after = (await probe.call('GET', url)).body;
  expect(after).toMatchObject({ state: 'dead', replayedAs: replay.body.batchId });
  expect(after).not.toHaveProperty('deadLetter');
});

test('a poisoned letter shows its data, cannot be replayed, and is thrown away', async () => {
  const id = await writeLetter({ v: 1, error: 'no JSON', raw: '{"x', atMs: Date.now() });
  const url = `/v1/apps/shop/dead-letters/${id}`;
  expect((await probe.call('GET', url)).body).toMatchObject({
    summary: { kind: 'poisoned', error: 'no JSON' },
    raw: '{"x',
  });
  expect(await probe.call('POST', `${url}/replay`)).toMatchObject({
    status: 409,
    body: { code: 'not-replayable' },
  });
  expect((await probe.call('DELETE', url)).status).toBe(204);
  expect((await probe.call('DELETE', url)).status).toBe(404);
  expect((await probe.call('GET', `/v1/apps/shop/dead-letters/${randomUUID()}`)).status).toBe(404);
});

test('no other key of the queue is taken for a letter', async () => {
  const id = await writeLetter({ v: 1, error: 'no JSON', raw: '{"x', atMs: Date.now() });
  const url = '/v1/apps/shop/dead-letters';
  for (const other of ['wait', 'meta', 'id', 'failed']) {
    expect(await probe.call('GET', `${url}/${other}`)).toMatchObject({ status: 404 });
    expect(await probe.call('DELETE', `${url}/${other}`)).toMatchObject({ status: 404 });
  }
  expect((await probe.call('GET', url)).body).toMatchObject({ total: 1, letters: [{ id }] });
  expect((await probe.call('DELETE', `${url}/${id}`)).status).toBe(204);
});

test('dead letters are listed page by page, with what there is of each reason', async () => {
  await probe.call('POST', '/v1/apps/shop/dead-letters/discard', { body: {} });
  for (let at = 0; at < 3; at++) {
    const job = deadJob();
    await writeLetter({ v: 1, reasons: { 2: 'paged', 5: 'b', 9: 'paged' }, job, atMs: Date.now() + at });
  }
  const url = '/v1/apps/shop/dead-letters?limit=2';
  const first = (await probe.call('GET', url)).body;
  expect(first).toMatchObject({ total: 3, reasons: { paged: 6, b: 3 }, trimmed: { age: 0, bytes: 0 } });
  const second = (await probe.call('GET', `${url}&cursor=${first.next}`)).body;
  expect([first.letters.length, second.letters.length, second.next]).toEqual([2, 1, null]);
  expect(first.bytes).toBe([...first.letters, ...second.letters].reduce((sum, { bytes }) => sum + bytes, 0));
  expect((await probe.call('GET', `${url}&cursor=x`)).status).toBe(400);
});

test('what a filter means is replayed and discarded step by step', async () => {
  const url = '/v1/apps/shop/dead-letters';
  await probe.call('POST', `${url}/discard`, { body: {} });
  for (let at = 0; at < 3; at++) {
    await writeLetter({ v: 1, reasons: { 2: 'a', 5: 'b', 9: 'a' }, job: deadJob(), atMs: Date.now() + at });
  }
  const counts: number[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const body: Record<string, unknown> = { reason: 'a', lane: 'bulk', limit: 3, ttl: 60 };
    if (cursor !== undefined) body.cursor = cursor;
    const answer = await probe.call('POST', `${url}/replay`, { body });
    expect(answer.status).toBe(200);
    counts.push(answer.body.notifications);
    cursor = answer.body.next;
  }
  expect(counts).toEqual([3, 3, 0]);
  expect((await probe.call('GET', url)).body).toMatchObject({ total: 3, reasons: { b: 3 } });
  expect((await probe.call('POST', `${url}/discard`, { body: { until: 1 } })).body.notifications).toBe(0);
  expect(
    (await probe.call('POST', `${url}/discard`, { body: { reason: 'b', limit: 2 } })).body,
  ).toMatchObject({
    notifications: 2,
    letters: 2,
    parts: 0,
    next: expect.any(String),
  });
  expect((await probe.call('POST', `${url}/discard`, { body: {} })).body.next).toBe(null);
  expect((await probe.call('GET', url)).body).toMatchObject({ total: 0, bytes: 0, reasons: {} });
  expect((await probe.call('POST', `${url}/replay`, { body: { since: 'yesterday' } })).status).toBe(400);
});

test('a reason with half a character is refused, and no pause stands for it', async () => {
  for (const reason of ['x\ud800', '\udc00x']) {
    const { status, body } = await probe.call('POST', '/v1/apps/news/pause', { body: { reason } });
    expect(status).toBe(400);
    expect(body.errors[0]).toMatchObject({ field: 'reason' });
  }
});
