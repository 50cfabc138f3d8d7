import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = '', otherToken = ''] = generateTokens({ count: 2, seed: 11 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

async function send(body: unknown, headers: Record<string, string> = {}) {
  return probe.call('POST', '/v1/notifications', {
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

test('one notification is answered 202 with its id when Redis has it', async () => {
  const { status, body, headers } = await send({
    app: 'shop',
    token,
    alert: { title: 'Your order', body: 'It is on its way.' },
  });
  expect(status).toBe(202);
  expect(body).toEqual({ batchId: expect.any(String), notificationIds: [body.batchId] });
  expect(headers['x-request-id']).toMatch(/^[\w-]+$/);
  expect(await probe.enqueued('shop')).toBe(1);
});

test('many share defaults, and what one has itself goes before them', async () => {
  const { status, body } = await send({
    app: 'news',
    lane: 'bulk',
    defaults: { alert: 'Sale', ttl: 60 },
    notifications: [{ token }, { token: otherToken, alert: 'Sale, Anna' }],
  });
  expect(status).toBe(202);
  expect(body.notificationIds).toHaveLength(2);
  const [job] = await probe.jobs('news', 'bulk');
  expect(job).toMatchObject({ count: 2, batch: body.batchId });
  const payloads = Buffer.from(job!.payloads, 'base64').toString();
  expect(payloads).toBe('{"aps":{"alert":"Sale"}}{"aps":{"alert":"Sale, Anna"}}');
});

test('a repeated idempotency key replays the answer and says so, in the header and in the body', async () => {
  const request = { app: 'news', token, alert: 'x' };
  const before = await probe.enqueued('news');
  const first = await send(request, { 'idempotency-key': '"order-7"' });
  const second = await send(request, { 'idempotency-key': 'order-7' });
  const third = await send({ ...request, idempotencyKey: 'order-7' });
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  for (const again of [second, third]) {
    expect(again.status).toBe(202);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.body).toEqual({ ...first.body, replayed: true });
  }
  expect(await probe.enqueued('news')).toBe(before + 1);
  const other = await send({ ...request, alert: 'y' }, { 'idempotency-key': 'order-7' });
  expect(other).toMatchObject({ status: 409, body: { code: 'idempotency-conflict' } });
});

test.each<[name: string, body: unknown, status: number, code: string, fields: string[]]>([
  ['a body that is no JSON', '{"app": ', 400, 'invalid-json', []],
  ['an empty body', '', 400, 'invalid-json', []],
  ['a body that is no object', '[1]', 400, 'invalid-notification', []],
  ['no app', { token, alert: 'x' }, 404, 'unknown-app', ['app']],
  ['an app that there is not', { app: 'gone', token, alert: 'x' }, 404, 'unknown-app', ['app']],
  ['no token', { app: 'shop', alert: 'x' }, 400, 'invalid-notification', ['token']],
  [
    'a truncated token',
    { app: 'shop', token: token.slice(1), alert: 'x' },
    400,
    'invalid-notification',
    ['token'],
  ],
  [
    'several faults at once',
    { app: 'shop', token: 'zz', alert: 7, badge: -1, sound: {}, priority: 3, color: 'red' },
    400,
    'invalid-notification',
    ['token', 'alert', 'badge', 'sound.name', 'priority', 'color'],
  ],
  [
    'faults deep in a batch',
    {
      app: 'shop',
      notifications: [{ token }, { token: 'zz' }, { token, badge: 1.5 }],
      defaults: { alert: 'x', ttl: 'soon' },
    },
    400,
    'invalid-notification',
    ['defaults.ttl', 'notifications[1].token', 'notifications[2].badge'],
  ],
  ['a batch of none', { app: 'shop', notifications: [] }, 400, 'invalid-notification', ['notifications']],
  [
    'a payload over the limit',
    { app: 'shop', token, alert: 'x'.repeat(5_000) },
    400,
    'invalid-notification',
    ['payload'],
  ],
])('%s is refused, and every field is named', async (_name, request, status, code, fields) => {
  const before = await probe.enqueued('shop');
  const { status: given, body, headers } = await send(request);
  expect({ given, code: body.code }).toEqual({ given: status, code });
  expect(headers['content-type']).toContain('application/problem+json');
  expect(body).toMatchObject({
    type: `urn:pushfleet:problem:${code}`,
    status,
    requestId: expect.any(String),
  });
  const named = (body.errors ?? []).map(({ field }: { field: string }) => field);
  expect(named.toSorted()).toEqual(fields.toSorted());
  expect(await probe.enqueued('shop')).toBe(before);
  expect(JSON.stringify(body)).not.toContain(token.slice(1));
});

test('a body of another type, a body too large and a route that there is not are problems too', async () => {
  const text = await send('x', { 'content-type': 'text/plain' });
  expect(text).toMatchObject({ status: 415, body: { code: 'unsupported-media-type' } });
  const large = await send(`"${'x'.repeat(41 * 1024 * 1024)}"`);
  expect(large).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  const nowhere = await probe.call('GET', '/v1/nowhere?token=secret');
  expect(nowhere.status).toBe(404);
  expect(nowhere.body).toMatchObject({ code: 'no-route', detail: expect.not.stringContaining('nowhere') });
});

test.each<[key: string, inBody: string | undefined]>([
  ['two words', undefined],
  ['', undefined],
  ['a', 'b'],
])('the header %j beside %j in the body is refused', async (key, inBody) => {
  const { status, body } = await send(
    { app: 'shop', token, alert: 'x', ...(inBody === undefined ? {} : { idempotencyKey: inBody }) },
    { 'idempotency-key': key },
  );
  expect(status).toBe(400);
  expect(body.errors[0].field).toBe('Idempotency-Key');
});

test('the id of a request is taken over where it is fit for logs', async () => {
  const given = await send({ app: 'shop' }, { 'x-request-id': 'order-service:7' });
  expect(given.body.requestId).toBe('order-service:7');
  const unfit = await send({ app: 'shop' }, { 'x-request-id': 'a b' });
  expect(unfit.body.requestId).not.toContain(' ');
});

test('what is enqueued and what is refused are counted', async () => {
  const text = await probe.register.metrics();
  const enqueued = (labels: string) => `pushfleet_enqueued_notifications_total{${labels}}`;
  expect(text).toContain(`${enqueued('app="news",lane="bulk",source="batch"')} 2`);
  expect(text).toContain(`${enqueued('app="shop",lane="transactional",source="single"')} 1`);
  expect(text).toMatch(/pushfleet_enqueue_refused_total\{code="invalid-notification"\} [1-9]/);
  expect(text).toMatch(
    /pushfleet_http_request_duration_seconds_count\{method="POST",route="\/v1\/notifications",status="202"\} [1-9]/,
  );
});
