import fc from 'fast-check';
import { describe, test } from 'vitest';
import { advance, anySchedule, socket, submit, testAnySchedule } from './any-schedule.ts';
import { acts, Http2Schedule, type Http2Step } from './http2-schedule.ts';

const step: fc.Arbitrary<Http2Step> = fc.oneof(
  { weight: 4, arbitrary: submit },
  { weight: 3, arbitrary: advance },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flow' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('renewToken', 'expireToken', 'refuseCredential') }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      socket,
      bytes: fc.constantFrom(1, 9, 40, 1_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('limit' as const),
      socket,
      streams: fc.constantFrom(0, 1, 3, 50),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('narrow' as const),
      socket,
      window: fc.constantFrom(0, 7, 65_535),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('refuseTopic' as const),
      topic: fc.constantFrom('com.example.shop', 'com.example.shop.voip'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('submitVoip' as const), count: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('serve' as const),
      socket,
      service: fc.constantFrom('well', 'silent', 'ailing', 'strange'),
    }),
  },
  { weight: 24, arbitrary: fc.record({ do: fc.constantFrom('accept', 'take', 'read', 'answer'), socket }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom(...acts), socket }) },
);

const warmUp: readonly Http2Step[] = [
  { do: 'submit', count: 5, invalid: [] },
  ...Array.from({ length: 6 }, (): Http2Step => ({ do: 'flow' })),
  { do: 'submit', count: 40, invalid: [3] },
  { do: 'take', socket: 0 },
  { do: 'read', socket: 0 },
];

const setting = fc.record({
  connections: fc.integer({ min: 1, max: 6 }),
  leastConnections: fc.constantFrom(1, 1, 2),
  shrinkAfterMs: fc.constantFrom(500, 60_000),
  streams: fc.constantFrom(1, 4, 1_000),
  window: fc.constantFrom(30, 1_000),
  lastStreamId: fc.constantFrom(9, 61, 0x7fff_ffff),
  firstLimit: fc.constantFrom(0, 1, 100, 100),
});

test('asks whether a pause is over as soon as the gateway allows a stream', async () => {
  const schedule = new Http2Schedule({
    connections: 1,
    streams: 1,
    window: 30,
    lastStreamId: 9,
    firstLimit: 0,
  });
  await schedule.take([
    { do: 'submit', count: 1, invalid: [] },
    { do: 'flow' },
    { do: 'refuseCredential' },
    { do: 'limit', socket: 0, streams: 3 },
    { do: 'flow' },
    { do: 'flow' },
    { do: 'advance', ms: 40_000 },
    { do: 'accept', socket: 0 },
  ]);
  await schedule.calm(() => schedule.transport.state.kind !== 'paused');
  schedule.expectIdentity();
  schedule.transport.destroy();
  schedule.expectOver();
});

describe('an HTTP/2 transport in any schedule', () => {
  testAnySchedule(anySchedule(setting, step, warmUp), (options) => new Http2Schedule(options), 350);
});
