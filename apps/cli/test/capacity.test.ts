import { describe, expect, test } from 'vitest';
import { measured } from '../src/capacity/measured-figures.ts';
import { type Capacity, type CapacityWish, reckonCapacity } from '../src/capacity/reckon-capacity.ts';
import { runCli } from './run-cli.ts';

/** Round figures: a worker plans with 0.7 ÷ 3.5 s a million = 200,000/s. */
const figures = {
  ...measured,
  secondsPerMillion: { Postgres: 2, producer: 1, Redis: 1, worker: 3.5, sweeper: 0.5 },
  gatewayMegabytesPerMillion: 300,
} as unknown as typeof measured;

const usual: CapacityWish = {
  rate: 200_000,
  rttMs: 50,
  streams: 1_000,
  windowBytes: 65_536,
  payloadBytes: 250,
  connectionsPerWorker: 32,
};

const rows: readonly (readonly [string, Partial<CapacityWish>, Partial<Capacity>])[] = [
  [
    'the window bounds a connection: 262 ÷ 0.05 s',
    {},
    { underWay: 262, isBoundBy: 'window', perConnection: 5_240, connections: 39, workersByProcessor: 1 },
  ],
  ['as many workers as the connections need', {}, { workersByConnections: 2, workers: 2 }],
  [
    'with a large window the streams bound it: 1,000 ÷ 0.05 s',
    { windowBytes: 1_048_576 },
    { underWay: 1_000, isBoundBy: 'streams', perConnection: 20_000, connections: 10, workers: 1 },
  ],
  [
    'few streams',
    { streams: 100 },
    { underWay: 100, isBoundBy: 'streams', perConnection: 2_000, connections: 100 },
  ],
  ['twice as far, half as much', { rttMs: 100 }, { perConnection: 2_620, connections: 77 }],
  ['no distance', { rttMs: 0 }, { connections: 1, workers: 1 }],
  [
    'close by, the processor is the bound',
    { rate: 1_000_000, rttMs: 1, windowBytes: 1_048_576 },
    { perConnection: 200_000, connections: 5, workersByProcessor: 5, workers: 5 },
  ],
  [
    'a payload that fills the window',
    { payloadBytes: 60_000, rttMs: 100 },
    { underWay: 1, perConnection: 10 },
  ],
  [
    'Redis has one thread: two for a million a second',
    { rate: 1_000_000 },
    { redises: 2, backlogBytes: 500_000_000, megabits: 2_400 },
  ],
  ['one connection for each worker', { connectionsPerWorker: 1 }, { workersByConnections: 39 }],
];

describe('a rate', () => {
  test.each(rows)('%s', (_, changes, expected) => {
    const capacity = reckonCapacity({ ...usual, ...changes }, figures);
    for (const [name, value] of Object.entries(expected)) {
      const found = capacity[name as keyof Capacity];
      if (typeof value === 'number') expect(found, name).toBeCloseTo(value, 6);
      else expect(found, name).toBe(value);
    }
  });

  test('takes cores at each station', () => {
    expect(reckonCapacity({ ...usual, rate: 500_000 }, figures).cores).toEqual({
      Postgres: 1,
      producer: 0.5,
      Redis: 0.5,
      worker: 1.75,
      sweeper: 0.25,
    });
  });
});

test('the command shows how each number comes about', async () => {
  const { exitCode, stdout } = await runCli(['capacity', '--rate', '700000', '--rtt', '60ms']);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('65,536 bytes of window ÷ 250 bytes = 262 requests under way; 262 ÷ 0.06 s');
  expect(stdout).toContain(`measured on ${measured.on}`);
});

test('the command gives the same as JSON', async () => {
  const args = [
    'capacity',
    '--rate',
    '700000',
    '--rtt',
    '60ms',
    '--streams',
    '500',
    '--window',
    '1MiB',
    '--json',
  ];
  const { json } = await runCli(args);
  const wish = { ...usual, rate: 700_000, rttMs: 60, streams: 500, windowBytes: 1_048_576 };
  expect(json).toMatchObject({ ...wish, ...reckonCapacity(wish, measured) });
});

test.each([
  [['--rtt', '60ms'], '--rate'],
  [['--rate', '0', '--rtt', '60ms'], 'at least 1'],
  [['--rate', '5', '--rtt', 'far'], 'duration'],
  [['--rate', '5', '--rtt', '60ms', '--window', '64KB'], 'size'],
])('what is wrong is told: %j', async (args, message) => {
  const { exitCode, stderr } = await runCli(['capacity', ...args]);
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain(message);
});
