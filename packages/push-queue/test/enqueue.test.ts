import { generateTokens } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { doorbellChannel, parseNotificationId, type SendInput } from '../src/index.ts';
import { at, payloadAt, probeQueue, tokenAt } from './queue-probe.ts';

const [token = '', otherToken = ''] = generateTokens({ count: 2 });

test('a single send lies in Redis as a push job when its call resolves', async () => {
  const { queue, jobs } = probeQueue();
  const before = Math.floor(Date.now() / 1000);
  const result = await queue.enqueue({ app: 'shop', token, alert: 'Hello', ttl: 3600, custom: { order: 7 } });
  const [job] = await jobs('shop');
  expect(result.replayed).toBe(false);
  expect(result.batchId).toBe(result.notificationId);
  expect(parseNotificationId(result.notificationId)).toEqual({ batch: job!.batch, index: 1 });
  expect(job).toMatchObject({
    app: 'shop',
    lane: 'transactional',
    count: 1,
    batchSize: 1,
    index: 1,
    priority: 10,
  });
  expect(tokenAt(job!, 0)).toBe(token);
  expect(payloadAt(job!, 0)).toEqual({ aps: { alert: 'Hello' }, order: 7 });
  expect(job!.expiration).toBeGreaterThanOrEqual(before + 3600);
  expect(job!.expiration).toBeLessThanOrEqual(Math.floor(Date.now() / 1000) + 3600);
});

test('sends of one moment share a push job, in their order, each with its own id and payload', async () => {
  const { queue, jobs } = probeQueue();
  const tokens = generateTokens({ count: 300 });
  const results = await Promise.all(
    tokens.map((each, place) => queue.enqueue({ app: 'shop', token: each, alert: `number ${place}` })),
  );
  const stored = await jobs('shop');
  expect(stored).toHaveLength(1);
  expect(stored[0]!.count).toBe(300);
  for (const [place, result] of results.entries()) {
    expect(parseNotificationId(result.notificationId)).toEqual({ batch: stored[0]!.batch, index: place + 1 });
    expect(tokenAt(stored[0]!, place)).toBe(tokens[place]);
    expect(payloadAt(stored[0]!, place)).toEqual({ aps: { alert: `number ${place}` } });
  }
});

test('a push job of single sends holds at most 1,000', async () => {
  const { queue, jobs } = probeQueue();
  await Promise.all(Array.from({ length: 2_345 }, () => queue.enqueue({ app: 'shop', token, alert: 'x' })));
  const counts = (await jobs('shop')).map((job) => job.count);
  expect(Math.max(...counts)).toBeLessThanOrEqual(1_000);
  expect(counts.reduce((sum, count) => sum + count)).toBe(2_345);
});

test('apps and lanes have queues of their own', async () => {
  const { queue, jobs } = probeQueue();
  await Promise.all([
    queue.enqueue({ app: 'shop', token, alert: 'x' }),
    queue.enqueue({ app: 'shop', lane: 'bulk', token, alert: 'x' }),
    queue.enqueue({ app: 'news', token, alert: 'x' }),
  ]);
  expect(await jobs('shop')).toHaveLength(1);
  expect(await jobs('shop', 'bulk')).toHaveLength(1);
  expect(await jobs('news')).toHaveLength(1);
});

test('a batch is split into push jobs of 1,000 that know their place', async () => {
  const { queue, jobs } = probeQueue();
  const tokens = generateTokens({ count: 2_500 });
  const { batchId, notificationIds } = await queue.enqueueBatch({
    app: 'shop',
    lane: 'bulk',
    notifications: tokens.map((each) => ({ token: each })),
    defaults: { alert: { title: 'Sale', body: 'Today only' } },
  });
  const stored = await jobs('shop', 'bulk');
  expect(stored.map(({ batch, batchSize, index, count }) => ({ batch, batchSize, index, count }))).toEqual([
    { batch: batchId, batchSize: 2_500, index: 1, count: 1_000 },
    { batch: batchId, batchSize: 2_500, index: 1_001, count: 1_000 },
    { batch: batchId, batchSize: 2_500, index: 2_001, count: 500 },
  ]);
  expect(
    stored.flatMap((job) => Array.from({ length: job.count }, (_, place) => tokenAt(job, place))),
  ).toEqual(tokens);
  expect(stored.map((job) => job.payloadLength)).toEqual([[54], [54], [54]]);
  expect(notificationIds).toHaveLength(2_500);
  expect(parseNotificationId(notificationIds[1_000]!)).toEqual({ batch: batchId, index: 1_001 });
});

test('what a notification of a batch says itself goes before the defaults', async () => {
  const { queue, jobs } = probeQueue({ apps: { shop: { transport: 'http2' } } });
  const expiresAt = Math.floor(Date.now() / 1000) + 1_000;
  await queue.enqueueBatch({
    app: 'shop',
    notifications: [
      { token },
      { token, alert: 'own' },
      { token, payload: { aps: { 'content-available': 1 } } },
      { token, priority: 5, collapseId: 'own', expiresAt },
      { token, badge: 3, ttl: 0 },
    ],
    defaults: { alert: 'shared', sound: 'default', ttl: 60, collapseId: 'shared' },
  });
  const [job] = await jobs('shop');
  expect([0, 1, 2, 3, 4].map((place) => payloadAt(job!, place))).toEqual([
    { aps: { alert: 'shared', sound: 'default' } },
    { aps: { alert: 'own', sound: 'default' } },
    { aps: { 'content-available': 1 } },
    { aps: { alert: 'shared', sound: 'default' } },
    { aps: { alert: 'shared', sound: 'default', badge: 3 } },
  ]);
  expect(job!.payloadLength).toHaveLength(4);
  expect(job!.priority).toEqual([10, 10, 5, 5, 10]);
  expect(job!.pushType).toEqual(['alert', 'alert', 'background', 'alert', 'alert']);
  expect(job!.collapseId).toEqual(['shared', 'shared', 'shared', 'own', 'shared']);
  expect(at(job!.expiration, 3)).toBe(expiresAt);
  expect(at(job!.expiration, 4)).toBe(0);
});

test('defaults with a whole payload serve notifications that change only how it is sent', async () => {
  const { queue, jobs } = probeQueue();
  await queue.enqueueBatch({
    app: 'shop',
    notifications: [{ token }, { token: otherToken, pushType: 'voip' }, { token, alert: 'own' }],
    defaults: { payload: { aps: { alert: 'whole' }, x: 1 } },
  });
  const [job] = await jobs('shop');
  expect([0, 1, 2].map((place) => payloadAt(job!, place))).toEqual([
    { aps: { alert: 'whole' }, x: 1 },
    { aps: { alert: 'whole' }, x: 1 },
    { aps: { alert: 'own' } },
  ]);
  expect(job!.pushType).toEqual(['alert', 'voip', 'alert']);
});

test('a scheduled send is a delayed job, and its time to live begins when it may go', async () => {
  const { queue, jobs, redis, prefix } = probeQueue();
  const sendAt = Math.floor(Date.now() / 1000) + 3_600;
  await queue.enqueue({ app: 'shop', token, alert: 'later', sendAt, ttl: 60 });
  const [job] = await jobs('shop');
  expect(job!.expiration).toBe(sendAt + 60);
  const score = await redis.zscore(`${prefix}:{shop}:transactional:delayed`, `${job!.batch}-1`);
  expect(Math.floor(Number(score) / 0x1000 / 1000)).toBe(sendAt);
});

test('a time of sending that has come means now', async () => {
  const { queue, redis, prefix } = probeQueue();
  await queue.enqueue({ app: 'shop', token, alert: 'x', sendAt: new Date(Date.now() - 1_000) });
  expect(await redis.llen(`${prefix}:{shop}:transactional:wait`)).toBe(1);
});

test('the doorbell rings for the lane after the job is there', async () => {
  const { queue, prefix, jobs } = probeQueue();
  const ear = new Redis(inject('redisUrl'));
  try {
    await ear.subscribe(doorbellChannel(prefix));
    const ring = new Promise<string>((resolve) => ear.once('message', (_channel, text) => resolve(text)));
    await queue.enqueue({ app: 'shop', lane: 'bulk', token, alert: 'x' });
    expect(await ring).toBe('shop/bulk');
    expect(await jobs('shop', 'bulk')).toHaveLength(1);
  } finally {
    ear.disconnect();
  }
});

test('every form of a device token is taken', async () => {
  const { queue, jobs } = probeQueue();
  const base64 = Buffer.from(token, 'hex').toString('base64');
  await queue.enqueueBatch({
    app: 'shop',
    notifications: [
      { token: token.toUpperCase() },
      { token: `<${token.match(/.{8}/g)!.join(' ')}>` },
      { token: base64 },
    ],
    defaults: { alert: 'x' },
  });
  const [job] = await jobs('shop');
  expect([0, 1, 2].map((place) => tokenAt(job!, place))).toEqual([token, token, token]);
});

test('an alert over the limit is refused, or shortened when the call says so', async () => {
  const { queue, jobs } = probeQueue({ apps: { shop: { transport: 'binary', commandVersion: 1 } } });
  const call = { app: 'shop', token, alert: 'x'.repeat(500) };
  await expect(queue.enqueue(call)).rejects.toMatchObject({ code: 'invalid-notification', field: 'payload' });
  await queue.enqueue({ ...call, truncate: true });
  expect((await jobs('shop'))[0]!.payloadLength).toEqual([256]);
});

const future = Math.floor(Date.now() / 1000) + 86_400;
test.each<[string, Record<string, unknown>, string]>([
  ['no app', { app: undefined }, 'app'],
  ['an unknown app', { app: 'nobody' }, 'app'],
  ['an app id that would break keys', { app: 'a}:b' }, 'app'],
  ['a lane that there is not', { lane: 'fast' }, 'lane'],
  ['no token', { token: undefined }, 'token'],
  ['a truncated token', { token: 'abc' }, 'token'],
  ['nothing to send', { alert: undefined }, 'alert'],
  ['a field that there is not', { subtitle: 'x' }, 'subtitle'],
  ['a badge below zero', { badge: -1 }, 'badge'],
  ['a payload beside content', { payload: { aps: {} } }, 'alert'],
  ['half a character', { alert: '\ud800' }, 'alert'],
  ['a ttl below zero', { ttl: -1 }, 'ttl'],
  ['ttl and expiresAt', { ttl: 1, expiresAt: future }, 'expiresAt'],
  ['an expiry in the past', { expiresAt: 1 }, 'expiresAt'],
  ['an expiry before the time of sending', { sendAt: future, expiresAt: future - 10 }, 'expiresAt'],
  ['a time without zone', { expiresAt: '2099-01-01T00:00:00' }, 'expiresAt'],
  ['a time that is none', { sendAt: 'tomorrow' }, 'sendAt'],
  ['a time too far ahead', { sendAt: future + 31 * 86_400 }, 'sendAt'],
  ['a priority that there is not', { priority: 7 }, 'priority'],
  ['priority 1 on the binary protocol', { priority: 1 }, 'priority'],
  [
    'priority 10 for a background push',
    { alert: undefined, contentAvailable: true, priority: 10 },
    'priority',
  ],
  ['a push type that there is not', { pushType: 'loud' }, 'pushType'],
  ['a collapse id of 65 bytes', { collapseId: 'x'.repeat(65) }, 'collapseId'],
  ['truncate that is no flag', { truncate: 'yes' }, 'truncate'],
  ['an idempotency key with a space', { idempotencyKey: 'a b' }, 'idempotencyKey'],
  ['an idempotency key of 256 characters', { idempotencyKey: 'x'.repeat(256) }, 'idempotencyKey'],
])('%s is refused, and the field is named', async (_name, wrong, field) => {
  const { queue, enqueued } = probeQueue({ apps: { shop: { transport: 'binary' } } });
  const call = { app: 'shop', token, alert: 'x', ...wrong } as unknown as SendInput;
  await expect(queue.enqueue(call)).rejects.toMatchObject({ name: 'PushQueueError', field });
  expect(await enqueued('shop')).toBe(0);
});

test('a defect in a batch is located, and nothing of the batch is enqueued', async () => {
  const { queue, enqueued } = probeQueue();
  const notifications = [{ token }, { token, badge: 1.5 }];
  await expect(
    queue.enqueueBatch({ app: 'shop', notifications, defaults: { alert: 'x' } }),
  ).rejects.toMatchObject({
    code: 'invalid-notification',
    field: 'notifications[1].badge',
  });
  await expect(queue.enqueueBatch({ app: 'shop', notifications: [] })).rejects.toMatchObject({
    field: 'notifications',
  });
  await expect(
    queue.enqueueBatch({
      app: 'shop',
      notifications: Array.from({ length: 5_001 }, () => ({ token })),
      defaults: { alert: 'x' },
    }),
  ).rejects.toMatchObject({ field: 'notifications' });
  expect(await enqueued('shop')).toBe(0);
});

test('errors never hold a token', async () => {
  const { queue } = probeQueue();
  const wrong = `${token}zz`;
  const error: Error = await queue.enqueue({ app: 'shop', token: wrong, alert: 'x' }).then(
    () => expect.unreachable(),
    (reason: Error) => reason,
  );
  expect(`${error.message}${error.stack}`).not.toContain(token);
});

test('closing waits for what was taken, and refuses what comes after', async () => {
  const { queue, enqueued } = probeQueue();
  const taken = Array.from({ length: 50 }, () => queue.enqueue({ app: 'shop', token, alert: 'x' }));
  await queue.close();
  await Promise.all(taken);
  expect(await enqueued('shop')).toBe(50);
  await expect(queue.enqueue({ app: 'shop', token, alert: 'x' })).rejects.toMatchObject({ code: 'closed' });
});
