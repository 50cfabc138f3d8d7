import { bytesSchema } from '@pushfleet/service-kit';
import { type Command, InvalidArgumentError } from 'commander';
import { parseCount } from '../parse-count.ts';
import { parseDuration } from '../parse-duration.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { measured } from './measured-figures.ts';
import {
  backlogSeconds,
  type Capacity,
  type CapacityWish,
  plannedShare,
  reckonCapacity,
} from './reckon-capacity.ts';

interface CapacityOptions {
  readonly rate: number;
  readonly rtt: number;
  readonly streams: number;
  readonly window: number;
  readonly payload: number;
  readonly connections: number;
}

export function addCapacityCommand(program: Command, terminal: Terminal): void {
  program
    .command('capacity')
    .description('reckon how many workers, connections and cores a rate over HTTP/2 takes')
    .requiredOption('--rate <n>', 'notifications per second', parsePositive)
    .requiredOption('--rtt <duration>', 'round trip to the gateway, such as 60ms', parseDuration)
    .option(
      '--streams <n>',
      'concurrent streams that the gateway takes on a connection',
      parsePositive,
      1_000,
    )
    .option('--window <size>', 'flow-control window of a connection, such as 64KiB', parseSize, 65_536)
    .option('--payload <bytes>', 'of one notification', parsePositive, 250)
    .option('--connections <n>', 'that one worker may open: `connections` of the app', parsePositive, 32)
    .addHelpText(
      'after',
      `
The processor times are those of one machine, measured by the benchmarks: measure on your own before you buy.

Examples:
  pushfleet capacity --rate 700000 --rtt 60ms
  pushfleet capacity --rate 50000 --rtt 20ms --streams 500 --window 1MiB`,
    )
    .action(({ rate, rtt, streams, window, payload, connections }: CapacityOptions) => {
      const wish: CapacityWish = {
        rate,
        rttMs: rtt,
        streams,
        windowBytes: window,
        payloadBytes: payload,
        connectionsPerWorker: connections,
      };
      const capacity = reckonCapacity(wish, measured);
      terminal.print({ ...wish, ...capacity, measured }, () => describe(wish, capacity));
    });
}

function describe(wish: CapacityWish, capacity: Capacity): string {
  const number = (value: number): string => Math.round(value).toLocaleString('en');
  const { rate, rttMs, streams, windowBytes, payloadBytes, connectionsPerWorker } = wish;
  const { underWay, perConnection, connections, perWorker, workers, cores } = capacity;
  const bound =
    capacity.isBoundBy === 'window'
      ? `${number(windowBytes)} bytes of window ÷ ${payloadBytes} bytes = ${number(underWay)} requests under way`
      : `${number(streams)} streams = ${number(underWay)} requests under way`;
  const atRtt =
    rttMs === 0 ? 'no distance: as fast as its worker' : `${number(underWay)} ÷ ${rttMs / 1_000} s`;
  const seconds = measured.secondsPerMillion;
  const rows = [
    ['one connection', `${number(perConnection)}/s`, rttMs === 0 ? atRtt : `${bound}; ${atRtt}`],
    [
      'connections',
      number(connections),
      `${number(rate)} ÷ ${number(perConnection)}; and one of each worker for the transactional lane`,
    ],
    [
      'one worker',
      `${number(perWorker)}/s`,
      `1,000,000 ÷ ${seconds.worker} s of processor time × ${plannedShare}`,
    ],
    [
      'workers',
      number(workers),
      `the larger of ${number(rate)} ÷ ${number(perWorker)} = ${capacity.workersByProcessor} (processor) and ` +
        `${number(connections)} ÷ ${Math.max(1, connectionsPerWorker - 1)} = ${capacity.workersByConnections} (connections)`,
    ],
    [
      'Redis',
      number(capacity.redises),
      `${number(rate)} × ${seconds.Redis} s ÷ 1,000,000 = ${cores.Redis.toFixed(2)} cores of one thread each, ${plannedShare} used` +
        (capacity.redises > 1 ? ': spread the apps' : ''),
    ],
    [
      'Redis, memory',
      `${number(capacity.backlogBytes / 2 ** 20)} MiB`,
      `for ${backlogSeconds} s of backlog, 50 bytes each`,
    ],
    ...(['producer', 'Postgres', 'sweeper'] as const).map((name) => [
      `${name}, cores`,
      cores[name].toFixed(1),
      `${number(rate)} × ${seconds[name]} s ÷ 1,000,000, for broadcasts`,
    ]),
    [
      'network',
      `${number(capacity.megabits)} Mbit/s`,
      `${measured.gatewayMegabytesPerMillion} MB per million, to and from the gateway`,
    ],
  ];
  return (
    `${table(['what', 'how much', 'how it comes about'], rows)}\n\n` +
    `Processor times: measured on ${measured.on}, ${measured.machine}, over HTTP/2 at 50 ms.`
  );
}

function parsePositive(text: string): number {
  const count = parseCount(text);
  if (count > 0) return count;
  throw new InvalidArgumentError('It must be at least 1.');
}

/** @throws InvalidArgumentError */
function parseSize(text: string): number {
  const parsed = bytesSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It ${parsed.error.issues[0]!.message}.`);
}
