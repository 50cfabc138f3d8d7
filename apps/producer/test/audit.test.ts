import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import {
  createBatchId,
  maxOutboxEntries,
  type PushJobData,
  pauseApp,
  readAuditOutbox,
  readPauses,
  recordChange,
} from '@pushfleet/push-queue';
import { DeadLetters, WorkerLink } from '@pushfleet/push-queue/worker';
import { generateTokens, provideRedis } from '@pushfleet/testkit';
import { type AuditEntry, createAuditEntry } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 61 });
let probe: ProducerProbe;
let headers: Record<string, string>;
beforeAll(async () => {
  probe = await openProducer({ keys: { ratePerSecond: 0 } });
  headers = await keyOf('ops', null);
}, 60_000);
afterAll(async () => probe.close());

async function keyOf(name: string, apps: string[] | null): Promise<Record<string, string>> {
  const { text } = await probe.database.store.apiKeys.create({ name, apps, scopes: ['admin'] });
  const key = { authorization: `Bearer ${text}` };
  const isKnown = async () =>
    expect((await probe.call('GET', '/v1/apps', { headers: key })).status).toBe(200);
  await vi.waitFor(isKnown, { timeout: 20_000 });
  return key;
}

const call = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: object) =>
  probe.call(method, url, { headers, ...(body === undefined ? {} : { body }) });

const audit = async (query = '') =>
  (await call('GET', `/v1/audit${query}`)).body as { entries: AuditEntry[]; next: string | null };

const newest = async (action: string) => (await audit(`?action=${action}&limit=1`)).entries[0];

test('a pause and a resume are there with who, what, from where, before and after', async () => {
  await call('POST', '/v1/apps/shop/pause', { reason: 'certificate' });
  expect(await newest('app.pause')).toMatchObject({
    actor: { kind: 'key', id: headers.authorization!.slice(10, 26), name: 'ops' },
    address: '127.0.0.1',
    requestId: expect.any(String),
    app: 'shop',
    target: 'shop',
    before: { pauses: [] },
    after: { pauses: [{ cause: 'operator', reason: 'certificate' }] },
    result: 'done',
  });
  await call('POST', '/v1/apps/shop/resume', {});
  expect(await newest('app.resume')).toMatchObject({
    before: { pauses: [{ cause: 'operator' }] },
    after: { pauses: [] },
    result: 'done',
  });
});

test('cancellations, broadcasts, webhooks and dead letters are there, without tokens and secrets', async () => {
  const inAnHour = Math.floor(Date.now() / 1_000) + 3_600;
  const later = { app: 'shop', sendAt: inAnHour };
  await probe.call('PUT', `/v1/devices/${token}`, { headers, body: { app: 'shop', userId: 'anna' } });
  const notifications = [{ token }, { token }];
  const sent = await call('POST', '/v1/notifications', { ...later, defaults: { alert: 'x' }, notifications });
  const { batchId, notificationIds } = sent.body;
  await call('DELETE', `/v1/notifications/${notificationIds[0]}`);
  expect(await newest('notification.cancel')).toMatchObject({ target: notificationIds[0], result: 'done' });
  await call('DELETE', `/v1/batches/${batchId}`);
  expect(await newest('batch.cancel')).toMatchObject({
    app: 'shop',
    target: batchId,
    before: { queued: 2, cancelRequestedAt: null },
    after: { cancelRequestedAt: expect.any(String) },
  });
  const scheduled = await call('POST', '/v1/notifications', { ...later, userId: 'anna', alert: 'x' });
  await call('DELETE', `/v1/batches/${scheduled.body.batchId}`);
  expect(await newest('batch.cancel')).toMatchObject({ target: scheduled.body.batchId, result: 'done' });

  const broadcast = { ...later, alert: 'for your eyes only', audience: { tags: 'vip' } };
  const { broadcastId } = (await call('POST', '/v1/broadcasts', broadcast)).body;
  for (const verb of ['pause', 'resume']) await call('POST', `/v1/broadcasts/${broadcastId}/${verb}`);
  await call('DELETE', `/v1/broadcasts/${broadcastId}`);
  const ofBroadcast = await audit(`?target=${broadcastId}`);
  expect(ofBroadcast.entries.map(({ action }) => action)).toEqual([
    'broadcast.cancel',
    'broadcast.resume',
    'broadcast.pause',
    'broadcast.create',
  ]);
  expect(ofBroadcast.entries[1]).toMatchObject({ before: { state: 'paused' }, after: { state: 'running' } });
  expect(ofBroadcast.entries[3]).toMatchObject({ after: { audience: { tags: 'vip' } } });

  const url = 'https://user-part.example.com/secret-path?token=secret-query';
  const { webhookId, secret } = (await call('POST', '/v1/webhooks', { app: 'shop', url })).body;
  expect(await newest('webhook.create')).toMatchObject({
    target: webhookId,
    after: { origin: 'https://user-part.example.com', active: true },
  });
  await call('DELETE', `/v1/webhooks/${webhookId}`);
  expect(await newest('webhook.delete')).toMatchObject({ target: webhookId, after: null });

  const letters = await letterIds(3);
  await call('POST', `/v1/apps/shop/dead-letters/${letters[0]}/replay`, {});
  expect(await newest('dead-letters.replay')).toMatchObject({
    target: letters[0],
    after: { notifications: 1, batchId: expect.any(String) },
  });
  await call('DELETE', `/v1/apps/shop/dead-letters/${letters[1]}`);
  expect(await newest('dead-letters.discard')).toMatchObject({ target: letters[1], result: 'done' });
  await call('POST', '/v1/apps/shop/dead-letters/discard', { reason: 'uncertain' });
  expect(await newest('dead-letters.discard')).toMatchObject({
    target: null,
    before: { filter: { reason: 'uncertain' } },
    after: { notifications: 1, letters: 1 },
  });

  const { text } = await call('GET', '/v1/audit?limit=500');
  for (const hidden of [
    token,
    secret,
    'secret-path',
    'secret-query',
    'for your eyes',
    headers.authorization!.slice(-43),
  ])
    expect(text).not.toContain(hidden);
});

test('devices that are removed and files that are read are there, without tokens and users', async () => {
  const file = (url: string, type: string, body: string) =>
    probe.call('POST', url, { headers: { ...headers, 'content-type': type }, body });
  const lines = `{"token":"${token}","userId":"secret-user"}\n{"token":"zz"}\n`;
  await file('/v1/devices/import?app=shop', 'application/x-ndjson', lines);
  expect(await newest('devices.import')).toMatchObject({
    app: 'shop',
    target: null,
    after: { imported: 1, errorCount: 1 },
    result: 'done',
  });
  const { uploadId } = (await file('/v1/uploads?app=shop', 'text/plain', 'secret-user\n')).body;
  expect(await newest('upload.create')).toMatchObject({
    target: uploadId,
    after: { users: 1 },
    result: 'done',
  });
  await file('/v1/uploads?app=shop', 'application/x-ndjson', '{"nobody":1}\n');
  expect(await newest('upload.create')).toMatchObject({
    result: 'failed',
    after: { error: 'invalid-request' },
  });
  const digest = createHash('sha256').update(Buffer.from(token, 'hex')).digest('hex');
  expect((await call('DELETE', `/v1/devices/${token}?app=shop`)).status).toBe(204);
  expect(await newest('device.remove')).toMatchObject({
    app: 'shop',
    target: `sha256:${digest}`,
    result: 'done',
  });
  const { entries } = await audit('?limit=1');
  expect((await call('DELETE', `/v1/devices/${token}?app=shop`)).status).toBe(404);
  expect((await audit('?limit=1')).entries).toEqual(entries);
  const { text } = await call('GET', '/v1/audit?limit=500');
  for (const hidden of [token, 'secret-user']) expect(text).not.toContain(hidden);
});

/** Dead letters of one notification each, as a worker leaves them. */
async function letterIds(count: number): Promise<string[]> {
  const { redis, prefix } = probe;
  const link = new WorkerLink({ redis, prefix, lockDurationMs: 30_000, stalledIntervalMs: 30_000 });
  await link.open(5_000);
  const ids = Array.from({ length: count }, () => `${createBatchId()}-1`);
  const payload = '{"aps":{"alert":"a"}}';
  for (const id of ids) {
    const job: PushJobData = {
      ...{ v: 1, app: 'shop', lane: 'bulk', batch: createBatchId(), batchSize: 1, count: 1, index: 1 },
      tokens: Buffer.from(token, 'hex').toString('base64'),
      payloads: Buffer.from(payload).toString('base64'),
      ...{ enqueuedAtMs: 1_700_000_000_000, tokenLength: 32, payloadLength: [payload.length] },
      ...{ expiration: 4_000_000_000, priority: 10 },
    };
    const reasons = { 1: 'uncertain' };
    await new DeadLetters(link, 'shop').keep(id, { v: 1, reasons, job, atMs: Date.now() });
  }
  await link.close();
  return ids;
}

test.each([
  ['is believed who it speaks for', ['127.0.0.0/8'], '192.0.2.7'],
  ['of which nothing is known is the address itself', ['10.0.0.0/8'], '127.0.0.1'],
  ['is not believed where none is named', undefined, '127.0.0.1'],
])('a proxy %s', async (_, trustedProxies, address) => {
  const other = await openProducer(trustedProxies === undefined ? {} : { trustedProxies });
  onTestFinished(() => other.close());
  const forwarded = { 'x-forwarded-for': '203.0.113.1, 192.0.2.7' };
  await other.call('POST', '/v1/apps/shop/pause', { headers: forwarded, body: { reason: 'x' } });
  const { body } = await other.call('GET', '/v1/audit');
  expect(body.entries).toMatchObject([{ action: 'app.pause', address }]);
});

test('a change whose client goes away at once is there, with its address', async () => {
  await probe.server.listen({ port: 0, host: '127.0.0.1' });
  const { port } = probe.server.server.address() as AddressInfo;
  const body = JSON.stringify({ reason: 'gone' });
  // From within the server: a socket that is destroyed when the request has been read.
  const onRequest = (request: IncomingMessage) => request.once('end', () => request.socket.destroy());
  probe.server.server.on('request', onRequest);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(
    `POST /v1/apps/news/pause HTTP/1.1\r\nhost: x\r\nx-request-id: gone\r\nauthorization: ${headers.authorization}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, 'close');
  probe.server.server.off('request', onRequest);
  await expect
    .poll(async () => newest('app.pause'))
    .toMatchObject({ requestId: 'gone', address: '127.0.0.1', result: 'done' });
});

test('what changed nothing is not there', async () => {
  const before = (await audit()).entries[0]!.id;
  await call('POST', '/v1/apps/nowhere/pause', { reason: 'x' });
  await call('DELETE', `/v1/broadcasts/${randomUUID()}`);
  await call('DELETE', `/v1/webhooks/${randomUUID()}`);
  const body = {
    app: 'shop',
    alert: 'x',
    audience: { all: true },
    sendAt: Math.floor(Date.now() / 1_000) + 900,
  };
  const keyed = { headers: { ...headers, 'idempotency-key': 'once' }, body };
  const first = await probe.call('POST', '/v1/broadcasts', keyed);
  expect((await probe.call('POST', '/v1/broadcasts', keyed)).body.replayed).toBe(true);
  const { entries } = await audit();
  expect(entries[0]).toMatchObject({ action: 'broadcast.create', target: first.body.broadcastId });
  expect(entries[1]!.id).toBe(before);
});

test('pages, filters, and what a key for some apps sees', async () => {
  await call('POST', '/v1/apps/news/pause', { reason: 'x' });
  const seen: string[] = [];
  for (let before: string | null = ''; before !== null; ) {
    const page = await audit(`?limit=3${before === '' ? '' : `&after=${before.toUpperCase()}`}`);
    seen.push(...page.entries.map(({ id }) => id));
    before = page.next;
  }
  expect(seen).toEqual((await audit('?limit=500')).entries.map(({ id }) => id));
  expect(seen.length).toBeGreaterThan(10);
  expect(new Set((await audit('?app=news')).entries.map(({ app }) => app))).toEqual(new Set(['news']));
  expect((await audit('?actor=ops&limit=1')).entries).toHaveLength(1);
  expect((await audit('?actor=nobody')).entries).toEqual([]);
  expect((await audit('?until=2001-01-01T00:00:00Z')).entries).toEqual([]);
  const bound = await keyOf('bound', ['shop']);
  const { entries } = (await probe.call('GET', '/v1/audit?limit=500', { headers: bound })).body;
  expect(new Set(entries.map(({ app }: AuditEntry) => app))).toEqual(new Set(['shop']));
  for (const query of ['limit=0', 'action=none', 'since=yesterday', 'before=x', 'x=y'])
    expect((await call('GET', `/v1/audit?${query}`)).status, query).toBe(400);
});

test('while Postgres is away an app is paused all the same, and the log has it when Postgres is back', async () => {
  const blind = await openProducer({ databaseUrl: 'postgres://127.0.0.1:1/none', prefix: probe.prefix });
  onTestFinished(() => blind.close());
  const reason = `blind ${randomUUID()}`;
  await call('POST', '/v1/apps/shop/resume', {});
  const paused = await blind.call('POST', '/v1/apps/shop/pause', { body: { reason } });
  expect(paused.status).toBe(200);
  // Another producer, which has Postgres, takes it there.
  const shown = async () =>
    (await audit('?action=app.pause&limit=1')).entries.map(({ after, actor }) => [after, actor.kind]);
  await expect.poll(shown).toEqual([[{ pauses: [{ cause: 'operator', reason }] }, 'anyone']]);
  expect((await blind.call('GET', '/v1/audit')).status).toBe(503);
});

/** As whoever makes a change has it in the outbox. */
const entryFor = (target: string) =>
  createAuditEntry(
    { actor: { kind: 'cli', id: 'root@host', name: null }, address: null, requestId: null },
    { action: 'app.pause', app: 'shop', target, before: null, after: null },
    'begun',
  );

test('a process that dies in the middle of a change leaves word that it was begun', async () => {
  const target = randomUUID();
  const { redis, prefix } = probe;
  let isReached = false;
  void recordChange({ redis, prefix }, entryFor(target), () => {
    isReached = true;
    return new Promise<never>(() => undefined);
  });
  await expect.poll(() => isReached).toBe(true);
  expect((await audit(`?target=${target}`)).entries).toMatchObject([{ result: 'begun', after: null }]);
});

test('a change that fails is there with the code of its error', async () => {
  const target = randomUUID();
  const { redis, prefix } = probe;
  const failing = recordChange({ redis, prefix }, entryFor(target), async () => {
    throw Object.assign(new Error(`about ${token}`), { code: 'redis-timeout' });
  });
  await expect(failing).rejects.toThrow('about');
  expect((await audit(`?target=${target}`)).entries).toMatchObject([
    { result: 'failed', after: { error: 'redis-timeout' } },
  ]);
});

test('entries that wait for Postgres are bounded: then nothing is changed', async () => {
  const prefix = `${probe.prefix}-full`;
  const { redis } = probe;
  const waiting = Array.from({ length: maxOutboxEntries }, (_, at) => [`${at}`, '{}']).flat();
  await redis.hset(`${prefix}:{:audit}`, ...waiting);
  const change = recordChange({ redis, prefix }, entryFor('x'), async () => {
    await pauseApp({ redis, prefix }, 'shop', { cause: 'operator', reason: 'x', sinceMs: 1 });
    return { value: undefined, after: {} };
  });
  await expect(change).rejects.toMatchObject({ code: 'backpressure' });
  expect(await readPauses({ redis, prefix }, 'shop')).toEqual([]);
  expect(await readAuditOutbox({ redis, prefix }, 5)).toHaveLength(5);
});

test('while Redis is full an app is paused and resumed, and the log has it', async () => {
  const server = await provideRedis();
  onTestFinished(() => server.stop());
  const admin = new Redis(server.url);
  onTestFinished(() => admin.disconnect());
  const full = await openProducer({ redisUrl: server.url });
  onTestFinished(() => full.close());
  await expect.poll(async () => (await full.call('GET', '/v1/apps')).status, { timeout: 20_000 }).toBe(200);
  await admin.config('SET', 'maxmemory', '1');
  const paused = await full.call('POST', '/v1/apps/shop/pause', { body: { reason: 'full' } });
  expect(paused).toMatchObject({ status: 200, body: { state: 'paused' } });
  const resumed = await full.call('POST', '/v1/apps/shop/resume', { body: {} });
  expect(resumed).toMatchObject({ status: 200, body: { state: 'running' } });
  const { entries } = (await full.call('GET', '/v1/audit')).body;
  expect(entries).toMatchObject([
    { action: 'app.resume', result: 'done' },
    { action: 'app.pause', result: 'done' },
  ]);
  expect(await admin.hlen(`${full.prefix}:{:audit}`)).toBe(0);
});
