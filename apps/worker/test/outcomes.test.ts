import {
  cancel,
  createBatchId,
  deadLetterSchema,
  parseNotificationId,
  poisonedLetterSchema,
  pushJobId,
} from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, expect, vi } from 'vitest';
import { letters, reject, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const tokens = generateTokens({ count: 3_000 });
const [token = ''] = tokens;

test('an invalid token is rejected, the rest is accepted, nothing is sent twice', async ({ rig }) => {
  const bad = [tokens[3]!, tokens[500]!, tokens[1_999]!];
  await rig.setFaults([reject({ token: bad })]);
  await rig.enqueue(tokens.slice(0, 2_000));
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ enqueued: 2_000, accepted: 1_997, rejected: 3 });
  expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 1_997, duplicates: 0, rejected: 3 });
  const exceptions = (await rig.reports()).flatMap((report) => report.exceptions);
  expect(exceptions.map((one) => one.token).toSorted()).toEqual(bad.toSorted());
  expect(exceptions[0]).toMatchObject({
    outcome: 'rejected',
    reason: 'invalid-token',
    status: 8,
    tokenInvalid: true,
  });
});

test('what the gateway had trouble with is tried again, alone, until it is taken', async ({ rig }) => {
  await rig.setFaults([reject({ token: [tokens[10]!, tokens[11]!] }, { status: 1, times: 4 })]);
  await rig.enqueue(tokens.slice(0, 1_000));
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ accepted: 1_000 });
  expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 1_000, duplicates: 0 });
  const [report] = await rig.reports();
  expect(report).toMatchObject({ count: 1_000, exceptions: [], resentUncertain: 0 });
});

test('when its attempts are used up, it lies in the dead letters with its data, and is reported', async ({
  rig,
}) => {
  await rig.setFaults([reject({ token: [tokens[10]!] }, { status: 1 })]);
  const { batchId } = await rig.enqueue(tokens.slice(0, 100));
  await rig.openWorker([rig.app({ attempts: 3 })]);
  expect(await rig.settled()).toMatchObject({ accepted: 99, dead: 1 });
  expect((await rig.simulator.control.ledger()).rejected).toBe(3);
  const [letter] = await letters(rig);
  expect(letter).toMatchObject({ id: pushJobId(batchId, 1), name: 'dead' });
  const data = deadLetterSchema.parse(letter!.data);
  expect(data).toMatchObject({ reasons: { 11: 'processing-error' }, job: { count: 1, index: [11] } });
  expect(Buffer.from(data.job.tokens, 'base64').toString('hex')).toBe(tokens[10]);
});

test('an app that would rather miss than send twice drops what is uncertain', async ({ rig }) => {
  await rig.setFaults([{ on: 'binary', match: { after: 300 }, times: 1, action: { kind: 'reset' } }]);
  await rig.enqueue(tokens.slice(0, 1_000));
  await rig.openWorker([rig.app({ onUncertain: 'drop', connections: 1 })]);
  const { accepted, dead } = await rig.settled();
  expect(dead).toBeGreaterThan(0);
  const ledger = await rig.simulator.control.ledger();
  expect(ledger.duplicates).toBe(0);
  expect(ledger.unique).toBeGreaterThanOrEqual(accepted);
  const reasons = (await rig.reports()).flatMap(({ exceptions }) => exceptions.map(({ reason }) => reason));
  expect(new Set(reasons)).toEqual(new Set(['uncertain']));
  expect((await letters(rig)).length).toBe(1);
});

test('what is uncertain is sent again otherwise, and counted', async ({ rig }) => {
  await rig.setFaults([{ on: 'binary', match: { after: 300 }, times: 1, action: { kind: 'reset' } }]);
  await rig.enqueue(tokens.slice(0, 1_000));
  await rig.openWorker([rig.app({ connections: 1 })]);
  expect(await rig.settled()).toMatchObject({ accepted: 1_000 });
  const ledger = await rig.simulator.control.ledger();
  expect(ledger.unique).toBe(1_000);
  const [report] = await rig.reports();
  expect(ledger.duplicates).toBeLessThanOrEqual(report!.resentUncertain);
  expect(report!.resentUncertain).toBeGreaterThan(0);
});

test('what has expired is not sent', async ({ rig }) => {
  const expiresAt = Math.floor(Date.now() / 1_000) + 1;
  await rig.queue.enqueueBatch({
    app: 'shop',
    notifications: tokens
      .slice(0, 10)
      .map((each, at) => (at < 4 ? { token: each, expiresAt } : { token: each })),
    defaults: { alert: 'x' },
  });
  await vi.waitFor(() => expect(Date.now() / 1_000).toBeGreaterThan(expiresAt), { timeout: 5_000 });
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ accepted: 6, expired: 4 });
  expect((await rig.simulator.control.ledger()).received).toBe(6);
});

test('what is cancelled before it is written is not sent', async ({ rig }) => {
  const whole = await rig.enqueue(tokens.slice(0, 1_500));
  const part = await rig.enqueue(tokens.slice(1_500, 1_510));
  await cancel(rig, 'shop', whole.batchId, 60_000);
  const cancelled = part.notificationIds.slice(0, 3).map((id) => parseNotificationId(id)!.index);
  await cancel(rig, 'shop', part.batchId, 60_000, cancelled);
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ accepted: 7, cancelled: 1_503 });
  expect((await rig.simulator.control.ledger()).received).toBe(7);
});

test('a cancellation reaches what waits inside the worker', async ({ rig }) => {
  // The gateway reads nothing: what is not handed over stays in the worker.
  await rig.setFaults([{ on: 'binary', action: { kind: 'closePort' }, forMs: 2_000 }]);
  await rig.openWorker();
  const batches = await Promise.all(
    Array.from({ length: 12 }, () => rig.enqueue(tokens.slice(0, 1_000), 'bulk')),
  );
  await vi.waitFor(async () => expect(await rig.active()).toBeGreaterThan(4));
  await Promise.all(batches.slice(3).map(({ batchId }) => cancel(rig, 'shop', batchId, 60_000)));
  const { cancelled, accepted } = await rig.settled();
  expect(accepted + cancelled).toBe(12_000);
  // Three jobs at most were in the transport's own hands.
  expect(cancelled).toBeGreaterThanOrEqual(8_000);
});

test('a payload that the gateway cannot carry is rejected without asking it', async ({ rig }) => {
  await rig.queue.enqueueBatch({
    app: 'shop',
    notifications: [
      { token, alert: 'x'.repeat(400) },
      { token: tokens[1]!, alert: 'short' },
    ],
  });
  await rig.openWorker([rig.app({ commandVersion: 1 })]);
  expect(await rig.settled()).toMatchObject({ accepted: 1, rejected: 1 });
  const [report] = await rig.reports();
  expect(report!.exceptions[0]).toMatchObject({ index: 1, reason: 'payload-too-large' });
});

test('jobs that no worker can read lie in the dead letters, and the sums still add up', async ({ rig }) => {
  const { batchId } = await rig.enqueue(tokens.slice(0, 20));
  const key = `${rig.prefix}:{shop}:transactional:${pushJobId(batchId, 1)}`;
  const data = JSON.parse((await rig.redis.hget(key, 'data'))!) as Record<string, unknown>;
  await rig.redis.hset(key, 'data', JSON.stringify({ ...data, tokenLength: 31 }));
  await rig.addRaw('transactional', 'not-ours', '{"some":"thing"}');
  await rig.addRaw('transactional', 'no-json', '{"some":');
  await rig.addRaw('transactional', pushJobId(createBatchId(), 1), '{"count":7}');
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ enqueued: 20, dead: 20 });
  await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0));
  const kept = await letters(rig);
  expect(kept.map(({ name }) => name)).toEqual(['poisoned', 'poisoned', 'poisoned', 'poisoned']);
  const errors = kept.map((letter) => poisonedLetterSchema.parse(letter.data).error);
  expect(errors.toSorted()).toEqual(
    [
      'tokenLength adds up to 620 bytes, and tokens has 640',
      'the data are not JSON',
      'v is not 1',
      'v is not 1',
    ].toSorted(),
  );
});

test('a job of which nothing can be read is dead with as many as it was enqueued with', async ({ rig }) => {
  const { batchId } = await rig.enqueue(tokens.slice(0, 1_020));
  await rig.redis.hset(`${rig.prefix}:{shop}:transactional:${pushJobId(batchId, 1_001)}`, 'data', '?');
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ enqueued: 1_020, accepted: 1_000, dead: 20 });
  const report = (await rig.reports()).find(({ firstIndex }) => firstIndex === 1_001)!;
  expect(report).toMatchObject({ count: 20, batchSize: 1_020 });
  expect(Math.abs(report.enqueuedAtMs - Date.now())).toBeLessThan(60_000);
  await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0));
});

test('a push job that somebody else has put in the queue is sent, and enters the sums on both sides', async ({
  rig,
}) => {
  const { batchId } = await rig.enqueue(tokens.slice(0, 30));
  const key = `${rig.prefix}:{shop}:transactional:${pushJobId(batchId, 1)}`;
  const data = JSON.parse((await rig.redis.hget(key, 'data'))!) as Record<string, unknown>;
  const batch = createBatchId();
  await rig.addRaw('transactional', pushJobId(batch, 1), JSON.stringify({ ...data, batch }));
  await rig.openWorker();
  await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0));
  expect(await rig.settled()).toMatchObject({ enqueued: 60, accepted: 60 });
});

test('a job whose own fields are broken does not stop the queue', async ({ rig }) => {
  const { batchId } = await rig.enqueue(tokens.slice(0, 5));
  await rig.redis.hset(`${rig.prefix}:{shop}:transactional:${pushJobId(batchId, 1)}`, 'opts', '{broken');
  await rig.enqueue(tokens.slice(5, 10));
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ accepted: 5, dead: 5 });
});
