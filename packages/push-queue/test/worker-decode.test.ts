import { expect, test } from 'vitest';
import { tokenHex } from '../src/push-job/columns.ts';
import { decodePushJob, PoisonedJobError } from '../src/worker/index.ts';
import { longFormJob as job } from './long-form-job.ts';

const queue = { app: 'shop', lane: 'bulk' } as const;

test('a push job becomes columns', () => {
  const decoded = decodePushJob(JSON.stringify(job), queue);
  expect(decoded).toMatchObject({
    app: 'shop',
    lane: 'bulk',
    batch: job.batch,
    batchSize: 9,
    count: 3,
    enqueuedAtMs: 1_700_000_000_000,
    pushType: ['alert', 'background', 'voip'],
    collapseId: [null, 'x', null],
  });
  const { columns } = decoded;
  expect([...decoded.indexes]).toEqual([2, 3, 7]);
  expect([...columns.tokenOffsets]).toEqual([0, 1, 3, 6]);
  expect([...columns.tokens]).toEqual([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
  expect([...columns.payloadOffsets]).toEqual([0, 2, 9]);
  expect([...columns.payloadOf]).toEqual([0, 1, 0]);
  expect([...columns.expirations]).toEqual([0, 5, 6]);
  expect([...columns.priorities]).toEqual([10, 5, 10]);
  expect(tokenHex(decoded, 1)).toBe('bbcc');
});

test('one value stands for all, and indexes count on from the first', () => {
  const { pushType: _, collapseId: __, payloadOf: ___, ...short } = job;
  const decoded = decodePushJob(
    JSON.stringify({
      ...short,
      index: 4,
      tokenLength: 2,
      payloads: 'e30=',
      payloadLength: [2],
      expiration: 8,
      priority: 5,
    }),
    queue,
  );
  expect([...decoded.indexes]).toEqual([4, 5, 6]);
  expect([...decoded.columns.tokenOffsets]).toEqual([0, 2, 4, 6]);
  expect([...decoded.columns.payloadOf]).toEqual([0, 0, 0]);
  expect([...decoded.columns.expirations]).toEqual([8, 8, 8]);
  expect([...decoded.columns.priorities]).toEqual([5, 5, 5]);
  expect(decoded.pushType).toBe('alert');
  expect(decoded.collapseId).toBeNull();
});

test.each<[string, object, RegExp]>([
  ['another version', { v: 2 }, /^v /],
  ['another app', { app: 'news' }, /^app /],
  ['another lane', { lane: 'transactional' }, /^lane /],
  ['a batch that is no id', { batch: 'x' }, /^batch /],
  ['no notifications', { count: 0 }, /^count /],
  ['too many notifications', { count: 1_001 }, /^count /],
  ['indexes that are missing', { index: [2, 3] }, /^index /],
  ['indexes that go back', { index: [3, 2, 7] }, /^index /],
  ['index 0', { index: 0 }, /^index /],
  ['indexes beyond 32 bits', { index: 0xffff_fffe }, /^index /],
  ['tokens that are no base64', { tokens: 'not base64!' }, /^tokens /],
  [
    'tokens cut short',
    { tokens: job.tokens.slice(0, 4) },
    /^tokenLength adds up to 6 bytes, and tokens has 3/,
  ],
  ['lengths cut short', { tokenLength: [1, 2] }, /^tokenLength /],
  ['a token that is too long', { tokenLength: [1, 2, 101] }, /^tokenLength /],
  ['payload lengths that do not add up', { payloadLength: [2, 6] }, /^payloadLength adds up to 8/],
  ['no payload', { payloadLength: [] }, /^payloadLength /],
  ['a payload that there is not', { payloadOf: [0, 2, 0] }, /^payloadOf /],
  ['one payload for all, said of each', { payloadOf: 0 }, /^payloadOf /],
  ['payloads of nobody', { payloadOf: undefined }, /^payloadOf /],
  ['an expiration below 0', { expiration: -1 }, /^expiration /],
  ['a priority that there is not', { priority: [10, 5, 7] }, /^priority /],
  ['a push type that is no text', { pushType: 5 }, /^pushType /],
  ['collapse ids that are missing', { collapseId: [null] }, /^collapseId /],
  ['a batch of no size', { batchSize: 0 }, /^batchSize /],
])('%s is poison, and the field is named', (_name, wrong, message) => {
  expect(() => decodePushJob(JSON.stringify({ ...job, ...wrong }), queue)).toThrow(message);
});

test.each(['', 'null', '[]', '"text"', '{"v":1', '{}'])('data that are %j are poison', (text) => {
  expect(() => decodePushJob(text, queue)).toThrow(PoisonedJobError);
});

test('errors never hold a token', () => {
  const text = JSON.stringify({ ...job, tokens: job.tokens.slice(0, 4) });
  expect(() => decodePushJob(text, queue)).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining(job.tokens.slice(0, 4)) }),
  );
});
