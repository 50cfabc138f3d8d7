import { readFileSync } from 'node:fs';
import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PushJobData, pushJobDataSchema } from '../src/index.ts';
import { selectColumns, tokenHex, valueAt } from '../src/push-job/columns.ts';
import { type DecodedPushJob, decodePushJob, PoisonedJobError } from '../src/push-job/decode.ts';
import {
  type BatchSource,
  type CheckedTokens,
  type EncodedDelivery,
  type EncodedNotification,
  encodeBatch,
  encodePushJob,
  type PushJobHead,
} from '../src/push-job/encode.ts';
import { parsePushJobId, pushJobId } from '../src/push-job/id.ts';
import { describeRemaining, readRemaining } from '../src/push-job/progress.ts';
import { formatShare, parseShare } from '../src/push-job/share.ts';
import { longFormJob } from './long-form-job.ts';

// What is laid out in columns is read back as it was, whichever of its three sources it came from; the schema and the
// hand decoder agree on every text; and what an earlier build has written is read, and written, as it was.

const batch = '019acb00-1234-7abc-8def-012300000000';
const queue = { app: 'shop-prod', lane: 'bulk' } as const;
const head: PushJobHead = { ...queue, batch, batchSize: 3, enqueuedAtMs: 1_764_547_200_123 };

/** A notification, whatever it was before. */
interface Facts extends EncodedDelivery {
  readonly index: number;
  readonly token: string;
}

function factsOf(job: DecodedPushJob): Facts[] {
  const { columns } = job;
  return Array.from({ length: job.count }, (_, place) => {
    const of = columns.payloadOf[place]!;
    const payload = columns.payloads.subarray(columns.payloadOffsets[of], columns.payloadOffsets[of + 1]);
    return {
      index: job.indexes[place]!,
      token: tokenHex(job, place),
      payload: Buffer.from(payload).toString(),
      payloadBytes: payload.length,
      expiration: columns.expirations[place]!,
      priority: columns.priorities[place] as 10,
      pushType: valueAt(job.pushType, place) as 'alert',
      collapseId: valueAt(job.collapseId, place),
    };
  });
}

const decode = (data: PushJobData) => decodePushJob(JSON.stringify(data), queue);

const deliveries = fc.record({
  payload: fc.constantFrom('{}', '{"aps":{"alert":"x"}}', '{"aps":{"alert":"Grüße 🎉"}}', '{"n":7}'),
  expiration: fc.constantFrom(0, 1_764_633_600, 0xffff_ffff),
  priority: fc.constantFrom(10, 5, 1),
  pushType: fc.constantFrom('alert', 'background', 'voip', 'liveactivity'),
  collapseId: fc.constantFrom(null, 'score', ''),
});
const withBytes = <T extends { readonly payload: string }>(delivery: T) => ({
  ...delivery,
  payloadBytes: Buffer.byteLength(delivery.payload),
});
const tokenBytes = fc.uint8Array({ minLength: 32, maxLength: 100 });
const usualTokens = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex') as DeviceToken;

const rows = fc
  .tuple(
    fc.array(fc.tuple(fc.oneof(usualTokens, tokenBytes), deliveries), { minLength: 1, maxLength: 8 }),
    fc.boolean(),
  )
  .map(([all, areAlike]) =>
    all.map(([token, own]) => {
      const delivery = withBytes(areAlike ? all[0]![1] : own) as EncodedDelivery;
      return { ...delivery, token: hex(token) };
    }),
  );

const tokens = fc
  .oneof(
    fc.array(usualTokens, { minLength: 1, maxLength: 8 }),
    fc.array(tokenBytes, { minLength: 1, maxLength: 8 }),
  )
  .map((all): CheckedTokens => {
    const lengths = all.map(({ length }) => length);
    const isOne = lengths.every((length) => length === 32);
    return { bytes: Buffer.concat(all), count: all.length, lengths: isOne ? 32 : lengths };
  });

const firstIndexes = fc.constantFrom(1, 2, 1001, 0xffff_0000);

function tokensOf({ bytes, count, lengths }: CheckedTokens): string[] {
  let at = 0;
  return Array.from({ length: count }, (_, place) => {
    const start = at;
    at += valueAt(lengths, place);
    return hex(bytes.subarray(start, at));
  });
}

test('notifications are read back as they were', () => {
  fc.assert(
    fc.property(rows, firstIndexes, (notifications, firstIndex) => {
      const data = encodePushJob(head, { kind: 'rows', firstIndex, notifications });
      expect(pushJobDataSchema.parse(data)).toEqual(data);
      expect(factsOf(decode(data))).toEqual(
        notifications.map((notification, place) => ({ ...notification, index: firstIndex + place })),
      );
    }),
  );
});

test('many tokens with one delivery are read back as they were', () => {
  fc.assert(
    fc.property(tokens, deliveries.map(withBytes), firstIndexes, (columns, delivery, firstIndex) => {
      const same = delivery as EncodedDelivery;
      const data = encodePushJob(head, { kind: 'tokens', firstIndex, tokens: columns, delivery: same });
      expect(pushJobDataSchema.parse(data)).toEqual(data);
      expect(factsOf(decode(data))).toEqual(
        tokensOf(columns).map((token, place) => ({ ...same, token, index: firstIndex + place })),
      );
    }),
  );
});

test('some places of a push job are read back as they were in the whole, and once more as in the part', () => {
  fc.assert(
    fc.property(
      rows.chain((all) => fc.tuple(fc.constant(all), fc.subarray([...all.keys()], { minLength: 1 }))),
      ([notifications, chosen]) => {
        const whole = decode(encodePushJob(head, { kind: 'rows', firstIndex: 7, notifications }));
        const places = Uint16Array.from(chosen);
        const data = encodePushJob(whole, { kind: 'selection', job: whole, places });
        expect(pushJobDataSchema.parse(data)).toEqual(data);
        const part = decode(data);
        const facts = factsOf(whole);
        expect(factsOf(part)).toEqual(chosen.map((place) => facts[place]));
        expect([...part.columns.tokens]).toEqual([...selectColumns(whole, places).tokens]);
        const all = Uint16Array.from(chosen.keys());
        expect(encodePushJob(part, { kind: 'selection', job: part, places: all })).toEqual(data);
      },
    ),
  );
});

test('a batch is cut into push jobs that go on from each other, of either source', () => {
  const lengths = Array.from({ length: 2_345 }, (_, place) => 32 + (place % 3));
  const bytes = Buffer.alloc(lengths.reduce((sum, length) => sum + length, 0));
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32BE(at, at);
  const columns: CheckedTokens = { bytes, count: lengths.length, lengths };
  const delivery = withBytes({
    ...{ payload: '{}', expiration: 0, priority: 10, pushType: 'alert', collapseId: null },
  }) as EncodedDelivery;
  const notifications = tokensOf(columns).map((token) => ({ ...delivery, token: token as DeviceToken }));
  const expected = notifications.map((notification, place) => ({ ...notification, index: place + 1 }));
  const sources: BatchSource[] = [
    { kind: 'tokens', tokens: columns, delivery },
    { kind: 'rows', notifications },
  ];
  for (const source of sources) {
    const jobs = [...encodeBatch({ ...head, batchSize: lengths.length }, source)];
    expect(jobs.map(({ index, count }) => [index, count])).toEqual([
      [1, 1_000],
      [1_001, 1_000],
      [2_001, 345],
    ]);
    expect(jobs.flatMap((data) => factsOf(decode(data)))).toEqual(expected);
  }
});

/** Each field with values that are near to right ones, and some that are not. */
const number = fc.oneof(
  fc.integer({ min: -1, max: 6 }),
  fc.constantFrom(
    10,
    0.5,
    32,
    512,
    513,
    1_000,
    1_001,
    5_120,
    5_121,
    0xffff_fffe,
    0xffff_ffff,
    2 ** 32,
    2 ** 53,
  ),
);
const anything = fc.oneof(
  fc.constant(undefined),
  number,
  fc.array(number, { maxLength: 4 }),
  fc.array(fc.oneof(fc.constantFrom(null, 'alert'), number), { maxLength: 4 }),
  fc.string(),
  fc.base64String({ maxLength: 24 }),
  fc.constantFrom(
    'e30=',
    'e30',
    'e3 0=',
    'e30=e30=',
    'e-_=',
    'ee30==',
    '====',
    batch,
    batch.toUpperCase(),
    'bulk',
  ),
  fc.jsonValue(),
);

test('the schema and the hand decoder give the same verdict on every text', () => {
  const job: PushJobData = { ...longFormJob, ...head, batchSize: longFormJob.batchSize };
  const short: PushJobData = {
    ...{ v: 1, ...head, count: 2, index: 4, tokens: 'qrvM3Q==', tokenLength: 2 },
    ...{ payloads: 'e30=', payloadLength: [2], expiration: 8, priority: 5 },
  };
  const fields = [...Object.keys(job), 'unknown'].filter((field) => field !== 'app' && field !== 'lane');
  const verdicts = { good: 0, bad: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(job, short),
      fc.dictionary(fc.constantFrom(...fields), anything, { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
      (base, changes) => {
        const text = JSON.stringify({ ...base, ...changes });
        const parsed = pushJobDataSchema.safeParse(JSON.parse(text));
        verdicts[parsed.success ? 'good' : 'bad']++;
        if (parsed.success) {
          // What the schema lets through means the same without the fields that it does not know.
          expect(decodePushJob(text, queue)).toEqual(decode(parsed.data));
        } else {
          expect(() => decodePushJob(text, queue), parsed.error.message).toThrow(PoisonedJobError);
        }
      },
    ),
    { numRuns: 6_000 },
  );
  expect(Math.min(verdicts.good, verdicts.bad)).toBeGreaterThan(150);
});

interface Recorded {
  readonly name: string;
  readonly source: 'rows' | 'tokens' | 'selection';
  readonly text: string;
}
interface RecordedRows extends Recorded {
  readonly head: PushJobHead;
  readonly firstIndex: number;
  readonly notifications: readonly EncodedNotification[];
}
interface RecordedTokens extends Recorded {
  readonly head: PushJobHead;
  readonly tokens: string;
  readonly lengths: number | number[];
  readonly delivery: EncodedDelivery;
}
interface RecordedSelection extends Recorded {
  readonly from: string;
  readonly places: readonly number[];
}

/** Written by the build of 2026-11-30. */
const recorded = JSON.parse(
  readFileSync(new URL('fixtures/recorded-push-jobs.json', import.meta.url), 'utf8'),
) as readonly Recorded[];
const recordedQueue = { app: 'shop-prod', lane: 'transactional' } as const;

test.each(recorded)('$name: what an earlier build has written is read, and written, as it was', (one) => {
  const job = decodePushJob(one.text, recordedQueue);
  const facts = factsOf(job);
  switch (one.source) {
    case 'rows': {
      const { head, firstIndex, notifications } = one as RecordedRows;
      expect(facts).toEqual(notifications.map((row, place) => ({ ...row, index: firstIndex + place })));
      expect(JSON.stringify(encodePushJob(head, { kind: 'rows', firstIndex, notifications }))).toBe(one.text);
      return;
    }
    case 'tokens': {
      const { head, tokens, lengths, delivery } = one as RecordedTokens;
      const columns = { bytes: Buffer.from(tokens, 'hex'), count: head.batchSize, lengths };
      expect(facts).toEqual(tokensOf(columns).map((token, at) => ({ ...delivery, token, index: at + 1 })));
      const written = encodeBatch(head, { kind: 'tokens', tokens: columns, delivery });
      expect([...written].map((data) => JSON.stringify(data))).toEqual([one.text]);
      return;
    }
    case 'selection': {
      const { from, places } = one as RecordedSelection;
      const whole = decodePushJob(recorded.find(({ name }) => name === from)!.text, recordedQueue);
      expect(facts).toEqual(places.map((place) => factsOf(whole)[place]));
      const selection = { kind: 'selection', job: whole, places: Uint16Array.from(places) } as const;
      expect(encodePushJob(whole, selection)).toEqual(JSON.parse(one.text));
    }
  }
});

test('ids and shares are read back as they were', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), fc.integer({ min: 1 }), (firstIndex, batchSize) => {
      expect(parsePushJobId(pushJobId(batch, firstIndex))).toEqual({ batch, firstIndex });
      const share = { count: firstIndex, batchSize };
      expect(parseShare(formatShare(share))).toEqual(share);
    }),
  );
  expect(['', batch, `${batch}-0`, `x${batch}-1`, `${'-'.repeat(36)}-1`].map(parsePushJobId)).toEqual(
    Array.from({ length: 5 }),
  );
});

test('what is left of a push job is read back as it was', () => {
  const places = fc.array(
    fc.record({ step: fc.integer({ min: 1, max: 3 }), tried: fc.integer({ min: -1, max: 3 }) }),
    {
      minLength: 1,
      maxLength: 20,
    },
  );
  fc.assert(
    fc.property(places, (all) => {
      let index = 0;
      const indexes = Uint32Array.from(all, ({ step }) => (index += step));
      // -1: settled.
      const tried = Uint8Array.from(all, ({ tried }) => Math.max(0, tried));
      const left = describeRemaining(indexes, (place) => all[place]!.tried >= 0, tried);
      const found: [number, number][] = [];
      readRemaining(left, indexes, (place, times) => found.push([place, times]));
      expect(found).toEqual(all.flatMap((one, place) => (one.tried < 0 ? [] : [[place, one.tried]])));
    }),
  );
});
