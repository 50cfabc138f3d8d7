import type { Row } from '../run-row.ts';
import {
  appetite,
  everyNth,
  flaps,
  flapTakes,
  minuteMs,
  reason,
  secondMs,
  spell,
  wide,
} from './gateways-in-trouble.ts';

/** Trouble of some notifications only; and `onUncertain: drop`. */
export const singleNotifications: readonly Row[] = [
  {
    name: '429 for some devices, twice each, with retry-after',
    transport: 'http2',
    bars: { calls: 4_200, recoveryMs: 20 * secondMs },
    gateway: (scene) => {
      const busy = everyNth(scene, 40);
      const asked = new Map<string, number>();
      return {
        request: ({ token }) => {
          const times = (asked.get(token) ?? 0) + 1;
          asked.set(token, times);
          return busy.has(token) && times <= 2
            ? reason(429, 'TooManyRequests', { 'retry-after': 5 })
            : 'take';
        },
      };
    },
  },
  {
    name: 'status 1 for some devices, twice each',
    transport: 'binary',
    bars: { recoveryMs: 20 * secondMs, writtenEach: 3 },
    gateway: (scene) => {
      const busy = everyNth(scene, 400);
      const asked = new Map<string, number>();
      return {
        frame: ({ token }) => {
          const times = (asked.get(token) ?? 0) + 1;
          asked.set(token, times);
          return busy.has(token) && times <= 2 ? { status: 1 } : 'take';
        },
      };
    },
  },

  {
    name: 'hangs up after every 7th, drop',
    transport: 'binary',
    bars: { mayDie: true },
    size: 1_000,
    app: { ...wide, onUncertain: 'drop' },
    gateway: () => ({ frame: (_, { frames }) => (frames === appetite ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: 'hangs up after every 7th, drop',
    transport: 'http2',
    bars: { mayDie: true },
    size: 1_000,
    app: { onUncertain: 'drop' },
    gateway: () => ({ request: (_, { requests }) => (requests === appetite ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: 'flaps for a minute, drop',
    transport: 'binary',
    bars: { mayDie: true },
    app: { ...wide, onUncertain: 'drop' },
    spellMs: minuteMs,
    gateway: (scene) => ({
      accepts: flaps(scene, minuteMs),
      frame: (_, { frames }) => (scene.time.nowMs < minuteMs && frames > flapTakes ? 'ignore' : 'take'),
    }),
  },
  {
    name: 'no answers for 1 min, drop',
    transport: 'http2',
    bars: { mayDie: true },
    app: { onUncertain: 'drop' },
    spellMs: minuteMs,
    gateway: spell(minuteMs, 'hang'),
  },
];
