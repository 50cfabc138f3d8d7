import { generateTokens } from '@pushfleet/testkit';
import { appleExamples } from '@pushfleet/testkit/apple-examples';
import { describe, expect, test } from 'vitest';
import {
  type BatchInput,
  createBatchId,
  notificationId,
  parseNotificationId,
  type SendInput,
} from '../src/index.ts';
import { payloadAt, probeQueue } from './queue-probe.ts';

const [token = ''] = generateTokens({ count: 1 });
const longToken = 'ab'.repeat(101);
const apps = { shop: { transport: 'http2' }, old: { transport: 'binary' } } as const;

describe("Apple's published payloads", () => {
  test('are taken for one device, for a batch, for its defaults and for many tokens', async () => {
    const { queue, jobs } = probeQueue({ apps });
    for (const { name, payload, pushType } of appleExamples) {
      const said = { payload: payload as SendInput['payload'] & object, pushType };
      await queue.enqueue({ app: 'shop', token, ...said });
      await queue.enqueueBatch({ app: 'shop', notifications: [{ token, ...said }] });
      await queue.enqueueBatch({ app: 'shop', notifications: [{ token }], defaults: said });
      await queue.enqueueTokens({ app: 'shop', tokens: Buffer.from(token, 'hex'), ...said });
      queue.checkDelivery({ app: 'shop' }, said);
      queue.checkBatch({ app: 'shop', notifications: [said] });
      const taken = (await jobs('shop')).slice(-4);
      expect(
        taken.map((job) => [payloadAt(job, 0), job.pushType ?? 'alert']),
        name,
      ).toEqual(Array.from({ length: 4 }, () => [payload, pushType]));
    }
  });

  test('are taken on the binary protocol where it can carry them, and refused where it cannot', async () => {
    const { queue } = probeQueue({ apps });
    for (const { name, payload, pushType } of appleExamples) {
      const call = queue.enqueue({ app: 'old', token, payload: payload as never, pushType });
      if (['alert', 'background', 'mdm'].includes(pushType)) await call;
      else await expect(call, name).rejects.toMatchObject({ field: 'pushType', message: /binary/ });
    }
  });
});

test.each<[string, Record<string, unknown>, string]>([
  ['a Live Activity', { event: 'end' }, 'pushType'],
  ['a VoIP push', { alert: 'x', pushType: 'voip' }, 'pushType'],
  ['a push type that we do not know', { payload: { x: 1 }, pushType: 'hologram' }, 'pushType'],
  ['a collapse id', { alert: 'x', collapseId: 'chat' }, 'collapseId'],
  ['a token of 101 bytes', { alert: 'x', token: longToken }, 'token'],
])('on the binary protocol %s is refused, and transport and field are named', async (_name, said, field) => {
  const { queue, enqueued } = probeQueue({ apps });
  const call = { app: 'old', token, ...said } as unknown as SendInput;
  await expect(queue.enqueue(call)).rejects.toMatchObject({
    code: 'invalid-notification',
    field,
    message: expect.stringContaining('binary'),
  });
  expect(await enqueued('old')).toBe(0);
});

test.each([33, 80, 101, 512])('on HTTP/2 a token may have %i bytes', async (bytes) => {
  const { queue, jobs } = probeQueue({ apps });
  await queue.enqueue({ app: 'shop', token: 'cd'.repeat(bytes), alert: 'x' });
  expect((await jobs('shop'))[0]!.tokenLength).toBe(bytes);
});

test.each<[string, object, number | undefined]>([
  ['a VoIP push', { pushType: 'voip', payload: {} }, 0],
  ['a push of Push to Talk', { pushType: 'pushtotalk', payload: {} }, 0],
  ['a VoIP push that says how long', { pushType: 'voip', payload: {}, ttl: 5 }, undefined],
  ['an alert', { alert: 'x' }, undefined],
])('%s is stored no longer than it is of use', async (_name, said, expiration) => {
  const { queue, jobs } = probeQueue({ apps });
  await queue.enqueue({ app: 'shop', token, ...said });
  const [job] = await jobs('shop');
  if (expiration === undefined) expect(job!.expiration).toBeGreaterThan(Date.now() / 1000);
  else expect(job!.expiration).toBe(expiration);
});

test.each<[string, Record<string, unknown>, string]>([
  ['a collapse id with a space before it', { collapseId: ' chat' }, 'collapseId'],
  ['a collapse id with a space behind it', { collapseId: 'chat ' }, 'collapseId'],
  ['a collapse id of a space', { collapseId: ' ' }, 'collapseId'],
  ['a collapse id with a line break', { collapseId: 'a\nb' }, 'collapseId'],
  ['an empty collapse id', { collapseId: '' }, 'collapseId'],
  ['a collapse id of null', { collapseId: null }, 'collapseId'],
  ['a push type with a capital', { pushType: 'Alert', alert: undefined, payload: {} }, 'pushType'],
  ['a new push type without a payload', { pushType: 'hologram' }, 'pushType'],
  ['priority 1 for a background push', { alert: undefined, contentAvailable: true, priority: 1 }, 'priority'],
  [
    'priority 10 for a background push that is called an alert',
    { alert: undefined, payload: { aps: { 'content-available': 1 } }, pushType: 'alert', priority: 10 },
    'priority',
  ],
  ['priority 1 for a Live Activity', { alert: undefined, event: 'end', priority: 1 }, 'priority'],
  ['the 30th of February', { sendAt: '2027-02-30T12:00:00Z' }, 'sendAt'],
  ['the 29th of February of a year without', { expiresAt: '2027-02-29T12:00:00Z' }, 'expiresAt'],
  ['the 24th hour', { expiresAt: '2099-01-01T24:00:00Z' }, 'expiresAt'],
  ['a zone that there is not', { expiresAt: '2099-01-01T12:00:00+99:99' }, 'expiresAt'],
  ['an expiry in milliseconds', { expiresAt: 1_900_000_000_000 }, 'expiresAt'],
  ['a number beyond 2^53', { custom: { id: 2 ** 53 } }, 'custom.id'],
  ['__proto__ among custom keys', { custom: JSON.parse('{"__proto__":{"a":1}}') }, 'custom.__proto__'],
  ['a badge of a payload', { alert: undefined, payload: { aps: { badge: 'x' } } }, 'payload.aps.badge'],
  ['two tokens in one', { token: `${token}\n${token}` }, 'token'],
])('%s is refused, and the field is named as the caller wrote it', async (_name, wrong, field) => {
  const { queue } = probeQueue({ apps });
  const call = { app: 'shop', token, alert: 'x', ...wrong } as unknown as SendInput;
  await expect(queue.enqueue(call)).rejects.toMatchObject({ code: 'invalid-notification', field });
});

test.each<[string, Partial<BatchInput>, string]>([
  ['what the defaults say', { defaults: { alert: 'x', badge: -1 } }, 'defaults.badge'],
  ['how the defaults are sent', { defaults: { alert: 'x', ttl: -1 } }, 'defaults.ttl'],
  [
    'what the defaults say of a notification with content of its own',
    { defaults: { sound: 5 as never }, notifications: [{ token, alert: 'x' }] },
    'defaults.sound',
  ],
  [
    'what a notification says itself',
    { defaults: { alert: 'x', badge: 1 }, notifications: [{ token, badge: -1 }] },
    'notifications[0].badge',
  ],
  ['defaults that are a list', { defaults: [] as never }, 'defaults'],
])('in a batch %s is named where it is', async (_name, wrong, field) => {
  const { queue } = probeQueue({ apps });
  const call = { app: 'shop', notifications: [{ token }], defaults: { alert: 'x' }, ...wrong };
  await expect(queue.enqueueBatch(call)).rejects.toMatchObject({ field });
  const draft = call.notifications.map(({ token: _, ...rest }) => rest);
  expect(() => queue.checkBatch({ ...call, notifications: draft })).toThrow(
    expect.objectContaining({ field }),
  );
});

test('a cycle is refused by name, also in a call with an idempotency key', async () => {
  const { queue } = probeQueue({ apps });
  const custom: Record<string, unknown> = {};
  custom.again = custom;
  const call = { app: 'shop', token, alert: 'x', custom, idempotencyKey: 'k' } as unknown as SendInput;
  await expect(queue.enqueue(call)).rejects.toMatchObject({ code: 'invalid-notification' });
});

test('an id is read in either case', () => {
  const batch = createBatchId();
  const id = notificationId(batch, 7);
  expect(parseNotificationId(id.toUpperCase())).toEqual({ batch, index: 7 });
});
