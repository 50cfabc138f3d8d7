import type { AddressInfo } from 'node:net';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 5_300, seed: 18 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
  // Every second one is even, every third one vip; user-0 to user-99 have 53 each.
  const lines = tokens.map((token, place) =>
    JSON.stringify({
      token,
      userId: `user-${place % 100}`,
      tags: [place % 2 === 0 ? 'even' : 'odd', ...(place % 3 === 0 ? ['vip'] : [])],
      locale: place % 5 === 0 ? 'de-DE' : 'en-US',
    }),
  );
  for (const app of ['shop', 'news']) {
    await probe.call('POST', `/v1/devices/import?app=${app}`, {
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    });
  }
});
afterAll(async () => probe.close());

const start = (body: object, headers = {}) => probe.call('POST', '/v1/broadcasts', { body, headers });
const get = async (id: string) => (await probe.call('GET', `/v1/broadcasts/${id}`)).body;

/** Until everything has been enqueued. No worker takes it. */
async function fannedOut(id: string): Promise<void> {
  await expect.poll(async () => (await get(id)).fanOutProgress, { timeout: 20_000 }).toBe(1);
}

/** Device tokens in the queue of an app, in order. */
async function queuedTokens(app: string): Promise<string[]> {
  const jobs = await probe.jobs(app, 'bulk');
  return jobs.flatMap((job) => {
    const all = Buffer.from(job.tokens, 'base64').toString('hex');
    return Array.from({ length: job.count }, (_, place) => all.slice(place * 64, (place + 1) * 64));
  });
}

async function emptyQueue(app: string): Promise<void> {
  const keys = await probe.redis.keys(`${probe.prefix}:{${app}}:bulk:*`);
  if (keys.length > 0) await probe.redis.del(keys);
}

test('a broadcast to all of an app reaches every device once', async () => {
  const { status, body } = await start({ app: 'shop', audience: { all: true }, alert: 'Sale' });
  expect(status).toBe(202);
  expect(body).toMatchObject({ state: 'running', lane: 'bulk', app: 'shop' });
  await fannedOut(body.broadcastId);
  expect(await get(body.broadcastId)).toMatchObject({
    state: 'delivering',
    enqueued: 5_300,
    queued: 5_300,
    fanOutProgress: 1,
    progress: 0,
  });
  expect((await queuedTokens('shop')).toSorted()).toEqual(tokens.toSorted());
  await emptyQueue('shop');
});

test.each<[name: string, audience: object, isIn: (place: number) => boolean]>([
  ['a tag', { tags: 'vip' }, (place) => place % 3 === 0],
  [
    'tags and not',
    { tags: { and: ['even', { not: 'vip' }] } },
    (place) => place % 2 === 0 && place % 3 !== 0,
  ],
  ['tags or', { tags: { or: ['odd', 'vip'] } }, (place) => place % 2 === 1 || place % 3 === 0],
  ['a tag and a locale', { tags: 'vip', locales: ['de-DE'] }, (place) => place % 15 === 0],
  ['nobody', { tags: 'none' }, () => false],
])('an audience by %s', async (_name, audience, isIn) => {
  const expected = tokens.filter((_, place) => isIn(place)).toSorted();
  const dry = await start({ app: 'news', audience, alert: 'x', dryRun: true });
  expect(dry).toMatchObject({ status: 200, body: { devices: expected.length } });
  expect(await probe.enqueued('news')).toBe(0);
  const { body } = await start({ app: 'news', audience, alert: 'x' });
  await fannedOut(body.broadcastId);
  expect((await queuedTokens('news')).toSorted()).toEqual(expected);
  await emptyQueue('news');
});

test('a broadcast is delivering until every device has its outcome, and then finished', async () => {
  const { body } = await start({ app: 'news', audience: { all: true }, alert: 'x' });
  const id = body.broadcastId;
  await fannedOut(id);
  const delivering = await get(id);
  expect(delivering).toMatchObject({ state: 'delivering', progress: 0, queued: 5_300 });
  expect(delivering).toHaveProperty('fanOutEndedAt');
  expect(delivering).not.toHaveProperty('finishedAt');
  // What the sweeper writes, batch after batch.
  const { database, broadcasts } = probe.database.store;
  const batches = await broadcasts.batchesOf(id);
  expect(batches.length).toBeGreaterThan(2);
  let settled = 0;
  for (const batch of batches) {
    const { rows } = await database.query<{ count: number }>(
      `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, rejected, first_settled_at, last_settled_at)
       select batch, 'news', 'bulk', count, now(), count - 1, 1, now(), '2030-01-31T12:00:00Z' from broadcast_chunks
       where batch = $1 returning size as count`,
      [batch],
    );
    settled += rows[0]!.count;
    const answer = await get(id);
    const isLast = settled === 5_300;
    expect(answer).toMatchObject({
      state: isLast ? 'finished' : 'delivering',
      progress: Math.floor((settled / 5_300) * 1_000) / 1_000,
      fanOutProgress: 1,
      queued: 5_300 - settled,
      ...(isLast ? { finishedAt: '2030-01-31T12:00:00.000Z' } : {}),
    });
    expect('finishedAt' in answer).toBe(isLast);
  }
  expect(await probe.call('POST', `/v1/broadcasts/${id}/pause`)).toMatchObject({ status: 409 });
  await emptyQueue('news');
});

test('a broadcast to nobody is finished with its fan-out', async () => {
  const { body } = await start({ app: 'news', audience: { tags: 'none' }, alert: 'x' });
  await fannedOut(body.broadcastId);
  expect(await get(body.broadcastId)).toMatchObject({
    state: 'finished',
    progress: 1,
    enqueued: 0,
    finishedAt: expect.any(String),
  });
});

test('the list says what was sent to whom, page by page, the newest first', async () => {
  const ids: string[] = [];
  const long = 'x'.repeat(300);
  for (const content of [
    { alert: 'first' },
    { alert: { title: 'Sale', body: 'Today only.' } },
    { payload: { aps: { alert: { title: 'Raw', body: long } } } },
    { contentAvailable: true },
  ]) {
    const { body } = await start({ app: 'news', audience: { tags: 'nobody' }, ...content });
    ids.unshift(body.broadcastId);
  }
  const read = async (query: string) => (await probe.call('GET', `/v1/broadcasts?app=news${query}`)).body;
  const first = await read('&limit=2');
  expect(first.broadcasts.map(({ broadcastId }: { broadcastId: string }) => broadcastId)).toEqual(
    ids.slice(0, 2),
  );
  expect(first.next).toBe(ids[1]);
  expect(first.broadcasts[0]).not.toHaveProperty('says');
  expect(first.broadcasts[1].says).toBe(`Raw: ${'x'.repeat(194)}…`);
  const second = await read(`&limit=2&after=${first.next}`);
  expect(second).toMatchObject({
    broadcasts: [
      { broadcastId: ids[2], says: 'Sale: Today only.', audience: { tags: 'nobody' } },
      { broadcastId: ids[3], says: 'first' },
    ],
  });
  const seen: string[] = [];
  for (let next: string | null = ''; next !== null; ) {
    const page: { broadcasts: { broadcastId: string }[]; next: string | null } = await read(
      next === '' ? '&limit=1' : `&limit=1&before=${next}`,
    );
    seen.push(...page.broadcasts.map(({ broadcastId }) => broadcastId));
    next = page.next;
  }
  const { broadcasts: all } = await read('&limit=100');
  expect(seen).toEqual(all.map(({ broadcastId }: { broadcastId: string }) => broadcastId));
});

test('an audience by an uploaded list of users', async () => {
  const list = await probe.call('POST', '/v1/uploads?app=news', {
    headers: { 'content-type': 'text/plain' },
    body: 'user-7\nuser-8\nnobody',
  });
  const audience = { upload: list.body.uploadId };
  const { body } = await start({ app: 'news', audience, alert: 'x' });
  await fannedOut(body.broadcastId);
  expect(await queuedTokens('news')).toHaveLength(106);
  expect(await start({ app: 'shop', audience, alert: 'x' })).toMatchObject({
    status: 404,
    body: { code: 'unknown-upload' },
  });
  await emptyQueue('news');
});

test('a repeated idempotency key is the same broadcast', async () => {
  const request = { app: 'news', audience: { tags: 'vip' }, alert: 'x' };
  const key = { 'idempotency-key': 'campaign-1' };
  const first = await start(request, key);
  const again = await start(request, key);
  expect(again).toMatchObject({ status: 202, body: { broadcastId: first.body.broadcastId, replayed: true } });
  expect(again.headers['idempotency-replayed']).toBe('true');
  expect(await start({ ...request, alert: 'y' }, key)).toMatchObject({ status: 409 });
  // For a day, as everywhere.
  await probe.database.store.database.query(
    `update broadcasts set created_at = created_at - interval '25 hours' where id = $1`,
    [first.body.broadcastId],
  );
  const other = await start({ ...request, alert: 'y' }, key);
  expect(other).toMatchObject({ status: 202 });
  expect(other.body.broadcastId).not.toBe(first.body.broadcastId);
  await fannedOut(other.body.broadcastId);
  await fannedOut(first.body.broadcastId);
  await emptyQueue('news');
});

test('it is spread over its time, paused, resumed and ends with every device once', async () => {
  const { body } = await start({ app: 'news', audience: { all: true }, alert: 'x', spreadOver: 4 });
  const id = body.broadcastId;
  await expect.poll(async () => (await get(id)).enqueued, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await probe.call('POST', `/v1/broadcasts/${id}/pause`)).toMatchObject({ body: { state: 'paused' } });
  // The chunk at hand may still come.
  await expect
    .poll(
      async () => {
        const before = (await get(id)).enqueued;
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        return (await get(id)).enqueued - before;
      },
      { timeout: 10_000 },
    )
    .toBe(0);
  const paused = await get(id);
  expect(paused.enqueued).toBeLessThan(5_300);
  expect(await probe.call('POST', `/v1/broadcasts/${id}/pause`)).toMatchObject({
    status: 409,
    body: { code: 'already-settled' },
  });
  expect(await probe.call('POST', `/v1/broadcasts/${id}/resume`)).toMatchObject({
    body: { state: 'running' },
  });
  await fannedOut(id);
  expect((await queuedTokens('news')).toSorted()).toEqual(tokens.toSorted());
  await emptyQueue('news');
});

test('a broadcast that is cancelled sends no more, and cancels what is queued', async () => {
  const { body } = await start({ app: 'news', audience: { all: true }, alert: 'x', spreadOver: 600 });
  const id = body.broadcastId;
  await expect.poll(async () => (await get(id)).enqueued, { timeout: 10_000 }).toBeGreaterThan(0);
  const cancelled = await probe.call('DELETE', `/v1/broadcasts/${id}`);
  expect(cancelled).toMatchObject({ status: 202, body: { state: 'cancelled' } });
  const [job] = await probe.jobs('news', 'bulk');
  expect(await probe.redis.smembers(`${probe.prefix}:{news}:cancelled:${job!.batch}`)).toEqual(['0']);
  expect(await probe.call('POST', `/v1/broadcasts/${id}/resume`)).toMatchObject({ status: 409 });
  await emptyQueue('news');
});

test('a broadcast of a later time waits for it', async () => {
  const sendAt = Math.floor(Date.now() / 1000) + 3_600;
  const { body } = await start({ app: 'news', audience: { all: true }, alert: 'x', sendAt });
  expect(Date.parse(body.startAt) / 1000).toBeCloseTo(sendAt, 0);
  expect(body.startedAt).toBeUndefined();
  const list = await probe.call('GET', '/v1/broadcasts?app=news&limit=1');
  expect(list.body.broadcasts).toMatchObject([
    { broadcastId: body.broadcastId, state: 'running', enqueued: 0 },
  ]);
  await probe.call('DELETE', `/v1/broadcasts/${body.broadcastId}`);
});

test('a broadcast whose time has passed before it could be sent fails, and says why', async () => {
  const expiresAt = Math.floor(Date.now() / 1000) + 2;
  const { body } = await start({
    app: 'news',
    audience: { all: true },
    alert: 'x',
    expiresAt,
    spreadOver: 120,
  });
  await expect.poll(async () => (await get(body.broadcastId)).state, { timeout: 15_000 }).toBe('failed');
  expect((await get(body.broadcastId)).error).toMatch(/^expiresAt: is past/);
  await emptyQueue('news');
});

test('progress comes as server-sent events', async () => {
  await probe.server.listen({ port: 0, host: '127.0.0.1' });
  const { port } = probe.server.server.address() as AddressInfo;
  const { body } = await start({ app: 'news', audience: { all: true }, alert: 'x', spreadOver: 3 });
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const answer = await fetch(`http://127.0.0.1:${port}/v1/broadcasts/${body.broadcastId}/events`, {
    signal: abort.signal,
  });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  const seen: { state: string; enqueued: number; fanOutProgress: number; progress: number }[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of answer.body!) {
    text += decoder.decode(chunk, { stream: true });
    seen.push(
      ...[...text.matchAll(/^event: progress\ndata: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data!)),
    );
    text = text.slice(text.lastIndexOf('\n\n') + 2);
    if (seen.at(-1)?.fanOutProgress === 1) break;
  }
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.at(-1)).toMatchObject({ state: 'delivering', enqueued: 5_300, progress: 0 });
  await emptyQueue('news');
});

test.each<[name: string, wrong: object, code: string, field: string]>([
  ['no audience', { audience: {} }, 'invalid-request', 'audience'],
  ['all and a condition', { audience: { all: true, tags: 'vip' } }, 'invalid-request', 'audience.all'],
  [
    'a tag expression that is none',
    { audience: { tags: { xor: ['a'] } } },
    'invalid-request',
    'audience.tags',
  ],
  ['a payload that cannot be sent', { alert: undefined }, 'invalid-notification', 'alert'],
  ['a time too far ahead', { sendAt: 4_000_000_000 }, 'invalid-notification', 'sendAt'],
  ['a token', { token: tokens[0] }, 'invalid-request', 'token'],
])('%s is refused, and the field is named', async (_name, wrong, code, field) => {
  const { status, body } = await start({ app: 'shop', audience: { all: true }, alert: 'x', ...wrong });
  expect(status).toBe(400);
  expect(body.code).toBe(code);
  expect(body.errors[0].field).toBe(field);
});

test('text with the character of code 0, which Postgres does not store, goes out as it came', async () => {
  const alert = { title: 'a\0b', body: 'c\\u0000d' };
  const custom = { 'e\0f': ['g\0'] };
  const created = await probe.call('POST', '/v1/broadcasts', {
    body: { app: 'news', audience: { all: true }, alert, custom, sendAt: new Date(Date.now() + 3_600_000) },
  });
  expect(created.status).toBe(202);
  const stored = await probe.database.store.broadcasts.get(created.body.broadcastId);
  expect(stored?.delivery).toMatchObject({ alert, custom });
  const list = await probe.call('GET', '/v1/broadcasts?app=news');
  expect(list.status).toBe(200);
});
