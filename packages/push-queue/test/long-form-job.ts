import type { PushJobData } from '../src/push-job/format.ts';

/** Three notifications, two payloads, each column in its long form. */
export const longFormJob: PushJobData = {
  v: 1,
  app: 'shop',
  lane: 'bulk',
  batch: '019acb00-0000-7000-8000-000000000000',
  batchSize: 9,
  count: 3,
  index: [2, 3, 7],
  enqueuedAtMs: 1_700_000_000_000,
  tokens: Buffer.from('aabbccddeeff', 'hex').toString('base64'),
  tokenLength: [1, 2, 3],
  payloads: Buffer.from('{}{"a":1}').toString('base64'),
  payloadLength: [2, 7],
  payloadOf: [0, 1, 0],
  expiration: [0, 5, 6],
  priority: [10, 5, 10],
  pushType: ['alert', 'background', 'voip'],
  collapseId: [null, 'x', null],
};
