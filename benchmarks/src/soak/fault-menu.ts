import { type Random, randomInt } from '@pushfleet/testkit';

/** A rule for the simulator's `POST /faults`. */
type FaultRule = Readonly<Record<string, unknown>>;

/** Without 0 and 10: a gateway that rejects a notification by these says that it has taken it. */
const binaryStatuses = [1, 2, 4, 5, 7, 8, 128, 255, 77];

/** Every fault that passes by itself; those that pause an app are an operator's business and not in here. */
const menu: readonly ((random: Random) => FaultRule)[] = [
  (random) => ({
    on: 'binary',
    match: { everyNth: 500 + randomInt(random, 2_000) },
    action: { kind: 'reject', status: binaryStatuses[randomInt(random, binaryStatuses.length)] },
  }),
  (random) => ({
    on: 'binary',
    match: { everyNth: 2_000 },
    action: { kind: 'reject', status: 8, delayMs: randomInt(random, 300), splitMs: randomInt(random, 10) },
  }),
  () => ({
    on: 'binary',
    match: { everyNth: 3_000 },
    action: { kind: 'reject', status: 8, delayFrames: 400, delayMs: 200 },
  }),
  () => ({
    on: 'binary',
    match: { everyNth: 4_000 },
    times: 3,
    action: { kind: 'reject', status: 8, identifier: 0 },
  }),
  (random) => ({
    on: 'binary',
    match: { after: 1_000 + randomInt(random, 3_000) },
    action: { kind: 'shutdown' },
  }),
  (random) => ({
    on: 'binary',
    match: { after: randomInt(random, 5_000) },
    times: 4,
    action: { kind: 'close' },
  }),
  (random) => ({
    on: 'binary',
    match: { after: randomInt(random, 5_000) },
    times: 4,
    action: { kind: 'reset' },
  }),
  () => ({ on: 'binary', match: { after: 1_000 }, times: 2, action: { kind: 'stopReading' } }),
  () => ({ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 200_000 } }),
  () => ({ on: 'binary', forMs: 1_500, action: { kind: 'refuse' } }),
  () => ({ on: 'binary', forMs: 1_000, action: { kind: 'closePort' } }),
  (random) => ({
    on: 'http2',
    match: { everyNth: 200 },
    action: {
      kind: 'respond',
      reason: ['InternalServerError', 'ServiceUnavailable', 'BadDeviceToken', 'PayloadTooLarge'][
        randomInt(random, 4)
      ],
    },
  }),
  () => ({
    on: 'http2',
    match: { everyNth: 500 },
    action: { kind: 'respond', reason: 'TooManyRequests', retryAfter: 1 },
  }),
  (random) => ({
    on: 'http2',
    match: { after: 500 + randomInt(random, 1_000) },
    action: {
      kind: 'goaway',
      streamsBack: randomInt(random, 50),
      reason: 'Shutdown',
      code: 0,
      answers: true,
      closes: true,
    },
  }),
  () => ({ on: 'http2', match: { everyNth: 700 }, action: { kind: 'resetStream', code: 7 } }),
  () => ({ on: 'http2', match: { everyNth: 900 }, times: 5, action: { kind: 'hang', taken: true } }),
  () => ({ on: 'http2', match: { everyNth: 50 }, action: { kind: 'delay', ms: 200 } }),
  (random) => ({
    on: 'http2',
    match: { after: 100 },
    action: { kind: 'streamLimit', limit: 1 + randomInt(random, 50) },
  }),
  () => ({ on: 'http2', match: { after: 700 }, times: 2, action: { kind: 'reset' } }),
  () => ({ on: 'http2', forMs: 1_000, action: { kind: 'refuse' } }),
];

export function pickFault(random: Random): FaultRule {
  return menu[randomInt(random, menu.length)]!(random);
}
