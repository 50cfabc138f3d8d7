import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { eventDataSchemas, type PostedKind } from '../src/schemas/webhook-event-schemas.ts';
import { checkUrl, isPublicAddress, resolveDestination } from '../src/webhooks/destination.ts';
import { WebhookRooms } from '../src/webhooks/webhook-rooms.ts';
import { type DeliveryResult, WebhookRunner } from '../src/webhooks/webhook-runner.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer({ webhookRules: { allowPrivate: true } });
});
afterAll(async () => probe.close());

interface Hit {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A far end that answers as told. */
async function openReceiver(answer: (hit: number) => number) {
  const hits: Hit[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      hits.push({ headers: request.headers, body });
      const status = answer(hits.length);
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('thank you');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { hits, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` };
}

function run(retrySeconds: readonly number[] = [0.05, 0.05]): DeliveryResult[] {
  const results: DeliveryResult[] = [];
  const runner = new WebhookRunner({
    database: probe.database,
    logger: probe.logger,
    rules: { allowPrivate: true },
    onResult: (_app, result) => results.push(result),
    pollMs: 20,
    timeoutMs: 2_000,
    retrySeconds,
  });
  onTestFinished(() => runner.close());
  return results;
}

let told = 0;
async function tell(app: string, kind: 'batch.finished' | 'devices.deactivated'): Promise<void> {
  told += 1;
  const event = { app, kind, payload: { batch: 'b', size: 7 }, key: `test-${told}` };
  expect(await probe.database.store.events.writeOnce(event)).toBe(true);
}

const createWebhook = async (body: object) => (await probe.call('POST', '/v1/webhooks', { body })).body;

test('an event is delivered once, signed as Standard Webhooks say, and stands in the log', async () => {
  const { hits, url } = await openReceiver(() => 204);
  const { webhookId, secret } = await createWebhook({ app: 'shop', url, kinds: ['batch.finished'] });
  const results = run();
  await tell('shop', 'batch.finished');
  await tell('shop', 'devices.deactivated');
  await tell('news', 'batch.finished');
  await expect.poll(() => results).toEqual(['delivered']);
  const [{ headers, body }] = hits as [Hit];
  expect(JSON.parse(body)).toEqual({
    type: 'batch.finished',
    timestamp: expect.any(String),
    data: { app: 'shop', batch: 'b', size: 7 },
  });
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  expect(headers['webhook-signature']).toBe(
    `v1,${createHmac('sha256', key).update(content).digest('base64')}`,
  );
  const { body: log } = await probe.call('GET', `/v1/webhooks/${webhookId}/deliveries`);
  expect(log).toMatchObject({
    next: null,
    deliveries: [{ kind: 'batch.finished', state: 'delivered', attempts: 1, status: 204 }],
  });
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('a far end that fails is asked again under the same id, and given up in the end', async () => {
  const mends = await openReceiver((hit) => (hit === 1 ? 500 : 200));
  const fails = await openReceiver(() => 302);
  const one = await createWebhook({ app: 'shop', url: mends.url });
  const other = await createWebhook({ app: 'shop', url: fails.url });
  const results = run();
  await tell('shop', 'batch.finished');
  await expect
    .poll(() => results.toSorted(), { timeout: 15_000 })
    .toEqual(['delivered', 'failed', 'retried', 'retried', 'retried']);
  expect(new Set(mends.hits.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(mends.hits).toHaveLength(2);
  // A redirection is not followed.
  expect(fails.hits).toHaveLength(3);
  const { body } = await probe.call('GET', `/v1/webhooks/${other.webhookId}/deliveries`);
  expect(body.deliveries[0]).toMatchObject({
    state: 'failed',
    attempts: 3,
    status: 302,
    error: 'was answered 302',
  });
  for (const { webhookId } of [one, other]) await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('a far end that says it is gone is not asked again', async () => {
  const { hits, url } = await openReceiver(() => 410);
  const { webhookId } = await createWebhook({ app: 'shop', url });
  const results = run();
  await tell('shop', 'batch.finished');
  await expect.poll(() => results).toEqual(['failed']);
  await tell('shop', 'batch.finished');
  const { body } = await probe.call('GET', '/v1/webhooks?app=shop');
  expect(body.webhooks).toMatchObject([{ webhookId, active: false }]);
  expect(hits).toHaveLength(1);
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
  expect((await probe.call('GET', `/v1/webhooks/${webhookId}/deliveries`)).status).toBe(404);
});

test('what waits for a far end that says it is gone fails, also what came while it said so', async () => {
  let answer: number | undefined;
  const { hits, url } = await openReceiver(() => answer ?? 500);
  const { webhookId } = await createWebhook({ app: 'news', url });
  const results = run([60]);
  for (let event = 0; event < 3; event++) await tell('news', 'batch.finished');
  await expect.poll(() => results, { timeout: 20_000 }).toEqual(['retried', 'retried', 'retried']);
  answer = 410;
  await tell('news', 'batch.finished');
  await expect.poll(() => results, { timeout: 20_000 }).toContain('failed');
  const { webhooks, database } = probe.database.store;
  // As one that was made while the webhook was switched off.
  await database.query(
    `insert into webhook_deliveries (webhook, event, kind, payload, occurred_at)
     values ($1, 999999, 'batch.finished', '{}', now())`,
    [webhookId],
  );
  const states = async () => (await webhooks.deliveries(webhookId, { limit: 10 })).map(({ state }) => state);
  await expect.poll(states, { timeout: 20_000 }).toEqual(['failed', 'failed', 'failed', 'failed', 'failed']);
  expect(hits).toHaveLength(4);
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('a far end that does not answer is given up in time, and does not hold up the others', async () => {
  const slow = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(slow, 'listening');
  onTestFinished(() => {
    slow.closeAllConnections();
    slow.close();
  });
  const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
  const quick = await openReceiver(() => 200);
  const one = await createWebhook({ app: 'news', url });
  const other = await createWebhook({ app: 'news', url: quick.url });
  const results = run([60]);
  for (let event = 0; event < 6; event++) await tell('news', 'batch.finished');
  await expect.poll(() => quick.hits.length, { timeout: 20_000 }).toBe(6);
  await expect
    .poll(() => results.filter((result) => result === 'retried').length, { timeout: 20_000 })
    .toBe(6);
  const { body } = await probe.call('GET', `/v1/webhooks/${one.webhookId}/deliveries?limit=4`);
  expect(body.deliveries[0]).toMatchObject({ state: 'pending', error: 'did not answer in time' });
  expect(body.next).toBe(body.deliveries[3].deliveryId);
  for (const { webhookId } of [one, other]) await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test.each([
  ['127.0.0.1', false],
  ['10.1.2.3', false],
  ['172.31.0.1', false],
  ['192.168.1.1', false],
  ['169.254.169.254', false],
  ['100.64.0.1', false],
  ['0.0.0.0', false],
  ['::1', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:7f00:1', false],
  ['64:ff9b::7f00:1', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['not-an-address', false],
  ['17.253.144.10', true],
  ['2620:149:af0::10', true],
])('%s is of the public internet: %s', (address, isPublic) => {
  expect(isPublicAddress(address)).toBe(isPublic);
});

test.each([
  ['http://example.com/', /https/],
  ['https://127.0.0.1/', /public/],
  ['https://2130706433/', /public/],
  ['https://0x7f.1/', /public/],
  ['https://[::1]/', /public/],
  ['https://[::ffff:10.0.0.1]/', /public/],
  ['https://user:password@example.com/', /password/],
  ['ftp://example.com/', /https/],
  ['https://example.com:0/', /port/],
  ['https://example.com/hook#part', /fragment/],
  ['example.com', /URL/],
])('a webhook may not go to %s', async (url, message) => {
  expect(() => checkUrl(url, { allowPrivate: false })).toThrow(message);
});

test('a name that stands for an address of ours is refused when it is looked up', async () => {
  await expect(resolveDestination('https://localhost/', { allowPrivate: false })).rejects.toThrow(/public/);
  expect(await resolveDestination('http://localhost/', { allowPrivate: true })).toMatchObject({
    address: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
  });
});

test('a webhook that cannot be is refused, and the field is named', async () => {
  const wrong = { app: 'shop', url: 'ftp://x', kinds: ['nothing'] };
  expect(await probe.call('POST', '/v1/webhooks', { body: wrong })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'kinds[0]' }] },
  });
  expect(await probe.call('POST', '/v1/webhooks', { body: { app: 'shop', url: 'ftp://x' } })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'url' }] },
  });
  expect(
    (await probe.call('POST', '/v1/webhooks', { body: { app: 'gone', url: 'https://x.example' } })).status,
  ).toBe(404);
});

test('webhooks that hang, of several apps, do not hold up one that answers', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const hanging = [];
  for (let place = 0; place < 10; place++) {
    hanging.push(await createWebhook({ app: place % 2 === 0 ? 'shop' : 'news', url }));
  }
  for (let event = 0; event < 20; event++) await tell(event % 2 === 0 ? 'shop' : 'news', 'batch.finished');
  const runner = new WebhookRunner({
    database: probe.database,
    logger: probe.logger,
    rules: { allowPrivate: true },
    onResult: () => undefined,
    pollMs: 20,
    // None of those that hang ends while this test runs.
    timeoutMs: 600_000,
  });
  const connections = () =>
    new Promise<number>((resolve) => silent.getConnections((_error, count) => resolve(count)));
  await expect.poll(connections, { timeout: 20_000 }).toBe(40);
  const quick = await openReceiver(() => 200);
  const healthy = await createWebhook({ app: 'shop', url: quick.url });
  for (let event = 0; event < 40; event++) await tell('shop', 'batch.finished');
  await expect.poll(() => quick.hits.length, { timeout: 20_000 }).toBe(40);
  // A webhook has its bound however much waits for it, and those that hang do not hold up the stop.
  expect(await connections()).toBe(40);
  await runner.close();
  for (const { webhookId } of [...hanging, healthy]) await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
}, 60_000);

test('a slow webhook has one delivery under way, slow ones half of the room, and all of them their turn', () => {
  const rooms = new WebhookRooms();
  const names = Array.from({ length: 300 }, (_, place) => `w${place}`);
  for (const name of names) {
    rooms.enter(name);
    rooms.leave(name, 15_000);
  }
  const takeAll = () => [...rooms.toTake().rooms].filter(([, room]) => room > 0).map(([name]) => name);
  const first = takeAll();
  expect(first).toHaveLength(128);
  for (const name of first) rooms.enter(name);
  expect(takeAll()).toEqual([]);
  expect(rooms.toTake().limit).toBe(128);
  for (const name of first) rooms.leave(name, 15_000);
  const second = takeAll();
  expect(second.some((name) => first.includes(name))).toBe(false);
  rooms.enter('w0');
  rooms.leave('w0', 10);
  expect(rooms.toTake().rooms.has('w0')).toBe(false);
});

/** What became of what was to be delivered to one webhook, the newest first. */
async function statesOf(webhook: string): Promise<string[]> {
  const { body } = await probe.call('GET', `/v1/webhooks/${webhook}/deliveries`);
  return body.deliveries.map(({ state }: { state: string }) => state);
}

test('a test event is delivered whatever the kinds, signed as every other, and stands in the log', async () => {
  const { hits, url } = await openReceiver(() => 204);
  const { webhookId, secret } = await createWebhook({ app: 'shop', url, kinds: ['app.paused'] });
  run();
  const { status, body } = await probe.call('POST', `/v1/webhooks/${webhookId}/test`);
  expect({ status, body }).toEqual({ status: 202, body: { deliveryId: expect.any(String) } });
  await expect.poll(() => statesOf(webhookId), { timeout: 20_000 }).toEqual(['delivered']);
  const [{ headers, body: text }] = hits as [Hit];
  const posted = JSON.parse(text);
  expect(posted).toMatchObject({ type: 'webhook.test', data: { app: 'shop', webhookId } });
  expect(eventDataSchemas['webhook.test'].parse(posted.data)).toEqual(posted.data);
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`;
  expect(headers['webhook-signature']).toBe(
    `v1,${createHmac('sha256', key).update(content).digest('base64')}`,
  );
  const { body: log } = await probe.call('GET', `/v1/webhooks/${webhookId}/deliveries`);
  expect(log.deliveries).toMatchObject([
    { deliveryId: body.deliveryId, kind: 'webhook.test', state: 'delivered' },
  ]);
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('what a webhook did not take is delivered again when it is asked for, with the same id', async () => {
  let isWilling = false;
  const { hits, url } = await openReceiver(() => (isWilling ? 200 : 500));
  const { webhookId } = await createWebhook({ app: 'news', url });
  run([0.05]);
  await tell('news', 'batch.finished');
  await expect.poll(() => statesOf(webhookId), { timeout: 20_000 }).toEqual(['failed']);
  const resend = (body: object) => probe.call('POST', `/v1/webhooks/${webhookId}/resend`, { body });
  expect((await resend({ deliveryIds: ['999999999'] })).body).toEqual({ resent: 0, deliveryIds: [] });
  isWilling = true;
  const { status, body } = await resend({});
  expect({ status, body }).toEqual({ status: 202, body: { resent: 1, deliveryIds: [expect.any(String)] } });
  await expect.poll(() => statesOf(webhookId), { timeout: 20_000 }).toEqual(['delivered']);
  expect(hits).toHaveLength(3);
  expect(new Set(hits.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  // Nothing of it has failed any more.
  expect((await probe.call('POST', `/v1/webhooks/${webhookId}/resend`)).body).toEqual({
    resent: 0,
    deliveryIds: [],
  });
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('a webhook that answered 410 is neither tested nor sent anything again', async () => {
  const { url } = await openReceiver(() => 410);
  const { webhookId } = await createWebhook({ app: 'news', url });
  run();
  await probe.call('POST', `/v1/webhooks/${webhookId}/test`);
  await expect.poll(() => statesOf(webhookId), { timeout: 20_000 }).toEqual(['failed']);
  for (const [path, body] of [
    ['test', undefined],
    ['resend', {}],
  ] as const) {
    await expect
      .poll(async () => (await probe.call('POST', `/v1/webhooks/${webhookId}/${path}`, { body })).body.code)
      .toBe('webhook-inactive');
  }
  await probe.call('DELETE', `/v1/webhooks/${webhookId}`);
  expect((await probe.call('POST', `/v1/webhooks/${webhookId}/test`)).body.code).toBe('unknown-webhook');
});

test('what is written as an event is what OpenAPI says is posted', async () => {
  const { database } = probe;
  const token = randomBytes(32).toString('hex');
  const batch = `019a0000-0000-7000-8000-${randomBytes(2).toString('hex')}00000000`;
  await probe.call('PUT', `/v1/devices/${token}`, { body: { app: 'shop', userId: 'ann' } });
  const atMs = Date.now() + 1_000;
  const rejected = {
    ...{ index: 2, token, outcome: 'rejected', reason: 'Unregistered', status: 410 },
    ...{ tokenInvalid: true, unregisteredAtMs: atMs, atMs },
  } as const;
  await database.store.reports.apply([
    {
      ...{ v: 1, job: 'any' },
      ...{ app: 'shop', lane: 'bulk', batch, batchSize: 3, firstIndex: 0, count: 3 },
      ...{ enqueuedAtMs: atMs, settledAtMs: atMs, resentUncertain: 0 },
      accepted: { proved: 1, presumed: 1 },
      exceptions: [rejected as never],
    },
  ]);
  const { rows } = await database.store.database.query<{ kind: PostedKind; payload: object }>(
    `select kind, payload from events where payload->>'batch' = $1 or payload->'devices'->0->>'token' = $2`,
    [batch, token],
  );
  expect(new Set(rows.map(({ kind }) => kind))).toEqual(
    new Set(['batch.finished', 'notifications.rejected', 'devices.deactivated']),
  );
  for (const { kind, payload } of rows) {
    const parsed = eventDataSchemas[kind].safeParse({ app: 'shop', ...payload });
    expect(parsed.error?.issues ?? []).toEqual([]);
  }
});
