import { createPushQueue, type NotificationDefaults, PushQueueError } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { fieldErrors } from '../src/http/field-errors.ts';
import { sendOneSchema } from '../src/schemas/notification-schemas.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

// The push queue checks by hand, the schemas describe the same to people and programs. Generated values go through both,
// and through every way in: the same verdict, the same path.

const [token = ''] = generateTokens({ count: 1, seed: 37 });
let probe: ProducerProbe;
const queue = createPushQueue({ redis: inject('redisUrl'), apps: { shop: { transport: 'http2' } } });
beforeAll(async () => {
  probe = await openProducer();
  await probe.call('PUT', `/v1/devices/${token}`, { body: { app: 'shop', userId: 'anna' } });
});
afterAll(async () => {
  await queue.close();
  await probe.close();
});

const text = fc.constantFrom('x', '', 'Hello', 'Ünï', 'a b');
const texts = fc.constantFrom(['a'], [], ['a', 'b']);
const flag = fc.boolean();
const json = fc.constantFrom({}, { score: 1 }, { deep: { a: [1, 'x', null] } });
const seconds = fc.constantFrom(0, 1_764_000_000, 99_999_999_999);
const localized = fc.oneof(text, fc.constantFrom({ locKey: 'K' }, { locKey: 'K', locArgs: ['a'] }));

/** Right values of every field. */
const right = {
  alert: fc.oneof(
    text,
    fc.record(
      {
        title: localized,
        body: localized,
        subtitle: text,
        locKey: fc.option(text),
        locArgs: fc.option(texts),
        action: text,
        sound: text,
      },
      { requiredKeys: [] },
    ),
  ),
  badge: fc.nat(),
  sound: fc.oneof(
    text,
    fc.record({ name: text, critical: flag, volume: fc.constantFrom(0, 0.5, 1) }, { requiredKeys: ['name'] }),
  ),
  threadId: text,
  contentAvailable: flag,
  mutableContent: flag,
  interruptionLevel: fc.constantFrom('passive', 'active', 'time-sensitive', 'critical'),
  relevanceScore: fc.constantFrom(0, 0.5, 1, 75, -1),
  urlArgs: texts,
  contentChanged: flag,
  event: fc.constantFrom('start', 'update', 'end'),
  timestamp: seconds,
  contentState: json,
  staleDate: seconds,
  attributesType: text,
  attributes: json,
  inputPushToken: flag,
  custom: json,
  payload: fc.constantFrom({}, { aps: {} }, { aps: { alert: 'x' } }, { mdm: 'x' }, { x: 1 }),
  truncate: flag,
  ttl: fc.constantFrom(0, 60, 86_400),
  expiresAt: fc.constantFrom(
    4_000_000_000,
    '2099-01-31T12:00:00Z',
    '2099-01-31T12:00:00.5+02:00',
    '2099-02-28T12:00Z',
  ),
  priority: fc.constantFrom(10, 5, 1),
  pushType: fc.constantFrom('alert', 'background', 'voip', 'liveactivity', 'mdm', 'hologram'),
  collapseId: fc.constantFrom('chat', 'a b', 'x'.repeat(64)),
} satisfies Partial<Record<keyof NotificationDefaults, fc.Arbitrary<unknown>>>;

const wrong = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    ' ',
    ' x ',
    'x'.repeat(70),
    -1,
    0.5,
    7,
    1e20,
    1_764_000_000_000,
    [],
    [1],
    {},
    { a: 1 },
  ),
  fc.constantFrom<unknown>(
    '2027-02-29T00:00:00Z',
    '2099-01-01',
    '2099-01-01T24:00:00Z',
    '2099-01-01T00:00:00+25:00',
  ),
  fc.constantFrom<unknown>(
    { body: 5 },
    { title: { locKey: 5 } },
    { name: 5 },
    { locArgs: [1] },
    { volume: 2, name: 'x' },
  ),
  fc.constantFrom<unknown>('a\nb', 'ä', 'Alert', 'loud!', 'start'),
);

const fields = Object.keys(right) as (keyof typeof right)[];
const notification = fc
  .uniqueArray(fc.constantFrom(...fields), { minLength: 1, maxLength: 5 })
  .chain((names) =>
    fc.record(
      Object.fromEntries(
        names.map((name) => [
          name,
          fc.oneof(
            { weight: 5, arbitrary: right[name] as fc.Arbitrary<unknown> },
            { weight: 1, arbitrary: wrong },
          ),
        ]),
      ),
    ),
  );

/** Path of what is wrong; undefined: nothing is. */
function byHand(said: object): string | undefined {
  try {
    queue.checkDelivery({ app: 'shop' }, said);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(PushQueueError);
    return (error as PushQueueError).field;
  }
}

function bySchema(said: object): string[] {
  const parsed = sendOneSchema.safeParse({ app: 'shop', token, ...said }, { reportInput: true });
  return parsed.success ? [] : fieldErrors(parsed.error, 'body').map(({ field }) => field);
}

const howItIsSent = ['payload', 'truncate', 'ttl', 'expiresAt', 'priority', 'pushType', 'collapseId'];
const isContent = (name: string) => !howItIsSent.includes(name);

test('what the schema refuses is refused by hand, at a path that the schema names', () => {
  fc.assert(
    fc.property(notification, (said) => {
      const paths = bySchema(said);
      if (paths.length === 0 || (said.payload !== undefined && Object.keys(said).some(isContent))) return;
      const field = byHand(said);
      expect(field, JSON.stringify({ said, paths })).toBeDefined();
      // What stands beside `payload`, or contradicts something, is found first by hand alone.
      if (
        bySchema({ [field!.split(/[.[]/, 1)[0]!]: said[field!.split(/[.[]/, 1)[0]! as never] }).length > 0
      ) {
        expect(paths).toContain(field);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('every way in gives the same verdict, and names the same path', async () => {
  await fc.assert(
    fc.asyncProperty(notification, async (said) => {
      const field = byHand(said);
      const call = { app: 'shop', ...said };
      const answers = [
        await probe.call('POST', '/v1/notifications', { body: { ...call, token } }),
        await probe.call('POST', '/v1/notifications', { body: { ...call, userId: 'anna' } }),
        await probe.call('POST', '/v1/broadcasts', {
          body: { ...call, audience: { all: true }, dryRun: true },
        }),
      ];
      for (const [place, { status, body }] of answers.entries()) {
        const what = JSON.stringify({ place, said, field, body });
        if (field === undefined) expect(status, what).toBe(place === 2 ? 200 : 202);
        else {
          expect(status, what).toBe(400);
          const named = body.errors.map((error: { field: string }) => error.field);
          // A schema names all that it finds, and stops before what only the queue can see.
          if (bySchema(said).length === 0) expect(named, what).toEqual([field]);
          else expect(named, what).toEqual(expect.arrayContaining(bySchema(said)));
        }
      }
    }),
    { numRuns: 250 },
  );
});
