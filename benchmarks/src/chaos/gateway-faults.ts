import { setTimeout as delay } from 'node:timers/promises';
import { randomInt } from '@pushfleet/testkit';
import type { ChaosFault } from './fault.ts';
import type { Transport } from './memory.ts';

type Rule = Readonly<Record<string, unknown>> & { readonly on: Transport };

/** A few rules of the simulator, for some seconds. */
function gateway(name: string, leavesDoubt: boolean, rules: readonly Rule[], weight = 1): ChaosFault {
  return {
    name: `gateway: ${name}`,
    weight,
    leavesDoubt,
    transport: new Set(rules.map(({ on }) => on)).size === 1 ? rules[0]!.on : undefined,
    async run({ simulator }, random) {
      const forMs = 2_000 + randomInt(random, 6_000);
      await simulator.control.faults({ add: true, rules: rules.map((rule) => ({ forMs, ...rule })) });
      await delay(forMs);
    },
  };
}

const transient = ['InternalServerError', 'ServiceUnavailable'];

/** What the gateway can do. Those that say `true` leave something in doubt, by docs/delivery.md. */
export const gatewayFaults: readonly ChaosFault[] = [
  gateway(
    'error packets',
    false,
    [
      { on: 'binary', match: { everyNth: 150 }, action: { kind: 'reject', status: 8 } },
      { on: 'binary', match: { everyNth: 401 }, action: { kind: 'reject', status: 7 } },
    ],
    4,
  ),
  gateway(
    'late error packets',
    false,
    [
      {
        on: 'binary',
        match: { everyNth: 200 },
        action: { kind: 'reject', status: 8, delayFrames: 100, delayMs: 200 },
      },
    ],
    3,
  ),
  gateway(
    'shutdown packets',
    false,
    [{ on: 'binary', match: { after: 120 }, action: { kind: 'shutdown' } }],
    3,
  ),
  gateway(
    'rejections',
    false,
    [
      { on: 'http2', match: { everyNth: 100 }, action: { kind: 'respond', reason: 'PayloadTooLarge' } },
      { on: 'http2', match: { everyNth: 203 }, action: { kind: 'respond', reason: 'BadDeviceToken' } },
    ],
    2,
  ),
  ...transient.map((reason) =>
    gateway(reason, false, [{ on: 'http2', match: { everyNth: 20 }, action: { kind: 'respond', reason } }]),
  ),
  gateway('nothing but 503', false, [
    { on: 'http2', action: { kind: 'respond', reason: 'ServiceUnavailable' } },
  ]),
  gateway('too many requests', false, [
    {
      on: 'http2',
      match: { everyNth: 30 },
      action: { kind: 'respond', reason: 'TooManyRequests', retryAfter: 1 },
    },
  ]),
  gateway(
    'GOAWAY',
    false,
    [
      {
        on: 'http2',
        match: { after: 100 },
        action: { kind: 'goaway', streamsBack: 10, reason: 'Shutdown', code: 0, answers: true, closes: true },
      },
    ],
    3,
  ),
  gateway(
    'refused streams',
    false,
    [{ on: 'http2', match: { everyNth: 50 }, action: { kind: 'resetStream', code: 7 } }],
    2,
  ),
  gateway('few streams', false, [
    { on: 'http2', match: { after: 10 }, action: { kind: 'streamLimit', limit: 3 } },
  ]),
  gateway('slow answers', false, [
    { on: 'http2', match: { everyNth: 10 }, action: { kind: 'delay', ms: 300 } },
  ]),
  gateway('connections refused', false, [
    { on: 'binary', action: { kind: 'refuse' } },
    { on: 'http2', action: { kind: 'refuse' } },
  ]),
  gateway('slow reading', false, [
    { on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 100_000 } },
  ]),
  gateway('connections closed', true, [
    { on: 'binary', match: { after: 90 }, times: 6, action: { kind: 'close' } },
  ]),
  gateway('connections reset', true, [
    { on: 'binary', match: { after: 90 }, times: 4, action: { kind: 'reset' } },
    { on: 'http2', match: { after: 90 }, times: 4, action: { kind: 'reset' } },
  ]),
  gateway('a gateway that stops reading', true, [
    { on: 'binary', match: { after: 50 }, times: 2, action: { kind: 'stopReading' } },
  ]),
  gateway('packets that name nothing', true, [
    {
      on: 'binary',
      match: { everyNth: 300 },
      times: 3,
      action: { kind: 'reject', status: 8, identifier: 0 },
    },
  ]),
  gateway('answers that never come', true, [
    { on: 'http2', match: { everyNth: 60 }, times: 10, action: { kind: 'hang', taken: true } },
  ]),
  gateway('a port that closes', true, [
    { on: 'binary', action: { kind: 'closePort' } },
    { on: 'http2', action: { kind: 'closePort' } },
  ]),
];
