import { type DestinationStream, destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from './environment.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** For people rather than for machines; by default on a terminal. */
  readonly pretty?: boolean;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
  /** More fields, asked for with each line. */
  readonly mixin?: (() => object) | undefined;
}

/** A safety net: nothing of this is to be logged in the first place. */
const secrets = [
  'payload',
  'payloads',
  'token',
  'tokens',
  'passphrase',
  'authorization',
  'redisUrl',
  'databaseUrl',
];

/** Lines are written synchronously: they are few, and the last one before a crash is the one that counts. */
export function createLogger(options: LoggerOptions): Logger {
  const { service, level, mixin } = options;
  const isPretty = options.pretty ?? (options.destination === undefined && process.stdout.isTTY === true);
  const out = options.destination ?? destination({ fd: 1, sync: true });
  return pino(
    {
      level,
      base: { service },
      ...(mixin === undefined ? {} : { mixin }),
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
      // Names rather than numbers, and ISO times: the lines are read by people too.
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    isPretty ? pretty({ destination: out, sync: true, ignore: 'service' }) : out,
  );
}
