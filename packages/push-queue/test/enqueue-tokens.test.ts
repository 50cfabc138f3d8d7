import { generateTokenBytes, generateTokens } from '@pushfleet/testkit';
import { expect, test } from 'vitest';
import { maxTokensPerCall } from '../src/index.ts';
import { payloadAt, probeQueue, tokenAt } from './queue-probe.ts';

const tokens = generateTokenBytes({ count: 2_500, seed: 21 });
const hex = generateTokens({ count: 2_500, seed: 21 });

test('tokens as bytes become push jobs of 1,000 with one payload', async () => {
  const { queue, jobs, enqueued } = probeQueue();
  const result = await queue.enqueueTokens({
    app: 'shop',
    lane: 'bulk',
    tokens,
    alert: 'Sale',
    collapseId: 's',
  });
  expect(result).toEqual({ batchId: expect.any(String), count: 2_500, replayed: false });
  const stored = await jobs('shop', 'bulk');
  expect(stored.map(({ batch, batchSize, index, count }) => ({ batch, batchSize, index, count }))).toEqual(
    [1, 1_001, 2_001].map((index) => ({
      batch: result.batchId,
      batchSize: 2_500,
      index,
      count: index === 2_001 ? 500 : 1_000,
    })),
  );
  for (const [place, job] of stored.entries()) {
    expect(tokenAt(job, 0)).toBe(hex[place * 1_000]);
    expect(tokenAt(job, job.count - 1)).toBe(hex[place * 1_000 + job.count - 1]);
    expect(payloadAt(job, 0)).toEqual({ aps: { alert: 'Sale' } });
    expect(job).toMatchObject({ priority: 10, collapseId: 's' });
  }
  expect(await enqueued('shop')).toBe(2_500);
});

test('tokens of different lengths keep theirs', async () => {
  const { queue, jobs } = probeQueue();
  const lengths = Array.from({ length: 1_200 }, (_, place) => 32 + (place % 3) * 10);
  const bytes = generateTokenBytes({
    count: 1,
    bytes: lengths.reduce((sum, length) => sum + length),
    seed: 5,
  });
  await queue.enqueueTokens({ app: 'shop', tokens: bytes, tokenLength: lengths, alert: 'x' });
  const [first, second] = await jobs('shop');
  const all = Buffer.from(bytes).toString('hex');
  expect(tokenAt(first!, 0) + tokenAt(first!, 1)).toBe(all.slice(0, (32 + 42) * 2));
  expect(all.endsWith(tokenAt(second!, 199))).toBe(true);
});

test('the same key yields one batch; other tokens under it are refused, unless a fingerprint says they are the same', async () => {
  const { queue, enqueued } = probeQueue();
  const call = { app: 'shop', tokens, alert: 'x', idempotencyKey: 'chunk-1' };
  const first = await queue.enqueueTokens(call);
  expect(await queue.enqueueTokens(call)).toEqual({ ...first, replayed: true });
  const fewer = { ...call, tokens: tokens.subarray(32) };
  await expect(queue.enqueueTokens(fewer)).rejects.toMatchObject({ code: 'idempotency-conflict' });
  const named = await queue.enqueueTokens({ ...call, idempotencyKey: 'chunk-2' }, { fingerprint: 'b/2' });
  expect(await queue.enqueueTokens({ ...fewer, idempotencyKey: 'chunk-2' }, { fingerprint: 'b/2' })).toEqual({
    ...named,
    replayed: true,
  });
  expect(await queue.recall('shop', 'chunk-2', 'b/2')).toEqual({ ...named, replayed: true });
  expect(await queue.recall('shop', 'chunk-3', 'b/3')).toBeUndefined();
  await expect(queue.recall('shop', 'chunk-2', 'other')).rejects.toMatchObject({
    code: 'idempotency-conflict',
  });
  expect(await enqueued('shop')).toBe(5_000);
});

test.each<[name: string, wrong: object, field: string]>([
  ['bytes that are no number of tokens', { tokens: tokens.subarray(1) }, 'tokens'],
  ['no tokens', { tokens: new Uint8Array() }, 'tokens'],
  ['text', { tokens: hex[0] }, 'tokens'],
  ['too many', { tokens: new Uint8Array((maxTokensPerCall + 1) * 32) }, 'tokens'],
  ['lengths that do not add up', { tokenLength: [32, 32] }, 'tokenLength'],
  ['a length that no token has', { tokenLength: 31 }, 'tokenLength'],
  ['a payload that cannot be sent', { badge: -1 }, 'badge'],
])('%s is refused, and the field is named', async (_name, wrong, field) => {
  const { queue, enqueued } = probeQueue();
  const call = { app: 'shop', tokens, alert: 'x', ...wrong };
  await expect(queue.enqueueTokens(call)).rejects.toMatchObject({ code: 'invalid-notification', field });
  expect(await enqueued('shop')).toBe(0);
});
