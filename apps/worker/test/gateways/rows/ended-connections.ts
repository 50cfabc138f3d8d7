import { streamLimit } from '../http2-gateway.ts';
import type { Row } from '../run-row.ts';
import { appetite, flaps, flapTakes, minuteMs, secondMs, wide } from './gateways-in-trouble.ts';

/** A connection ends, with or without a word. */
export const endedConnections: readonly Row[] = [
  { name: 'clean', transport: 'binary', bars: { recoveryMs: 6 * secondMs }, gateway: () => ({}) },
  { name: 'clean', transport: 'http2', bars: { recoveryMs: 3 * secondMs }, gateway: () => ({}) },
  { name: 'clean, proved', transport: 'binary', app: { confirm: 'proved' }, gateway: () => ({}) },

  {
    name: `hangs up after every ${appetite}th`,
    transport: 'binary',
    bars: { doubledPerConnection: appetite },
    size: 400,
    app: wide,
    gateway: () => ({ frame: (_, { frames }) => (frames === appetite ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: `hangs up after every ${appetite}th`,
    transport: 'http2',
    bars: {},
    size: 1_000,
    gateway: () => ({ request: (_, { requests }) => (requests === appetite ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: `hangs up after every ${appetite}th, proved`,
    transport: 'binary',
    bars: { doubledPerConnection: appetite },
    size: 1_000,
    app: { ...wide, confirm: 'proved' },
    gateway: () => ({ frame: (_, { frames }) => (frames === appetite ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: 'FIN after 500',
    transport: 'binary',
    bars: { doubledPerConnection: 500 },
    app: wide,
    gateway: () => ({ frame: (_, { frames }) => (frames === 500 ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: 'FIN after 500',
    transport: 'http2',
    bars: { recoveryMs: 20 * secondMs },
    gateway: () => ({ request: (_, { requests }) => (requests === 500 ? 'take-and-hang-up' : 'take') }),
  },
  {
    name: 'flaps for a minute',
    transport: 'binary',
    bars: { doubledPerConnection: flapTakes, recoveryMs: 60 * secondMs },
    app: wide,
    spellMs: minuteMs,
    gateway: (scene) => ({
      accepts: flaps(scene, minuteMs),
      frame: (_, { frames }) => (scene.time.nowMs < minuteMs && frames > flapTakes ? 'ignore' : 'take'),
    }),
  },
  {
    name: 'flaps for a minute',
    transport: 'http2',
    // A connection that ends soon after the spell may have all its streams taken and none answered.
    bars: { doubledPerConnection: flapTakes, doubled: streamLimit, recoveryMs: 60 * secondMs },
    spellMs: minuteMs,
    gateway: (scene) => ({
      accepts: flaps(scene, minuteMs),
      request: (_, { requests }) => (scene.time.nowMs < minuteMs && requests > flapTakes ? 'hang' : 'take'),
    }),
  },
  {
    name: 'status 10 after every 7th',
    transport: 'binary',
    bars: { recoveryMs: 60 * secondMs, writtenEach: 10 },
    size: 1_000,
    app: wide,
    gateway: () => ({
      frame: (_, { frames }) => (frames > appetite ? { status: 10 } : 'take'),
    }),
  },
  {
    name: 'GOAWAY after every 7th',
    transport: 'http2',
    // Half a connection a second is what HTTP/2 allows itself.
    bars: { recoveryMs: 5 * minuteMs },
    size: 1_000,
    gateway: () => ({ request: (_, { requests }) => (requests === appetite ? 'take-and-go-away' : 'take') }),
  },
];
