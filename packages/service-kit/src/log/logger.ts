import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { cleanFields } from './clean-fields.ts';
import type { LogLevel } from './log-level.ts';
import { LogOutput } from './log-output.ts';
import { loggedError } from './logged-error.ts';

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

export interface ServiceLog {
  readonly logger: Logger;
  /** Before the process exits: writes what is held back, and waits a moment for a reader that stands still. */
  flush(): void;
}

/** At the exit, for a reader that stands still, milliseconds. */
const exitPatienceMs = 2_000;

/** Fields that tell apart lines of one message. */
const kindFields = ['app', 'code', 'route', 'dependency', 'part', 'cause', 'webhook'] as const;

export function createLogger(options: LoggerOptions): Logger {
  return openLog(options).logger;
}

/**
 * Lines are written at once, as long as somebody reads them: they are few, and the last one before a crash is the one
 * that counts. Nothing that looks like a secret goes out, whatever was logged.
 */
export function openLog(options: LoggerOptions): ServiceLog {
  const { service, level, mixin } = options;
  const isPretty = options.pretty ?? (options.destination === undefined && process.stdout.isTTY === true);
  const output = options.destination === undefined ? new LogOutput(1) : undefined;
  const out = options.destination ?? output!;
  const repeated = new RepeatedLines();
  const logger = pino(
    {
      level,
      base: { service },
      ...(mixin === undefined ? {} : { mixin }),
      // Names rather than numbers, and ISO times: the lines are read by people too.
      formatters: { level: (label) => ({ level: label }), log: cleanFields },
      // They are clean by then; pino's own takes whatever looks like an error for one.
      serializers: { err: (value: unknown) => (value instanceof Error ? loggedError(value) : value) },
      hooks: {
        logMethod(args, method, level) {
          if (level < warnLevel || level > errorLevel) {
            method.apply(this, args);
            return;
          }
          const write = (times: number) => {
            const [fields, ...rest] = args as unknown as [unknown, ...unknown[]];
            const more = typeof fields === 'object' ? { ...fields, repeated: times } : { repeated: times };
            const words = typeof fields === 'object' ? rest : [fields, ...rest];
            method.apply(this, [more, ...words] as unknown as typeof args);
          };
          if (repeated.admits(kindOf(this, args, level), write)) method.apply(this, args);
        },
      },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    isPretty ? pretty({ destination: out, sync: true, ignore: 'service' }) : out,
  );
  if (output !== undefined) {
    output.onDropped = (lines) =>
      logger.warn({ lines }, 'log lines were dropped while nobody read the output');
  }
  return {
    logger,
    flush() {
      repeated.flush();
      output?.flushSync(exitPatienceMs);
    },
  };
}

const warnLevel = pino.levels.values.warn!;
const errorLevel = pino.levels.values.error!;

/** What a line says, without what differs from one request to the next. */
function kindOf(logger: Logger, args: readonly unknown[], level: number): string {
  const [fields, message] = args;
  if (typeof fields !== 'object' || fields === null) return `${level} ${String(fields)}`;
  const bindings = (logger as unknown as Readonly<Record<symbol, string>>)[pino.symbols.chindingsSym];
  const parts = kindFields.map((name) => {
    const value = (fields as Readonly<Record<string, unknown>>)[name];
    return typeof value === 'string' ? value : '';
  });
  return [level, message, bindings, ...parts].join('\u0000');
}

/** So many lines that say the same come out within a window; the others are told by the last of them. */
const burst = 10;
const windowMs = 10_000;
/** Kinds of lines that are told apart; beyond it nothing is held back. */
const maxKinds = 1_000;

interface Kind {
  count: number;
  /** Writes the last line that is held back. */
  last: ((repeated: number) => void) | undefined;
}

/** Keeps an outage from being a flood: of warnings that say the same, most are summarised by one line. */
class RepeatedLines {
  readonly #kinds = new Map<string, Kind>();

  /** Whether to write the line now; else `write` is called at the end of the window, if it is the last by then. */
  admits(kind: string, write: (repeated: number) => void): boolean {
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      if (this.#kinds.size >= maxKinds) return true;
      this.#kinds.set(kind, { count: 1, last: undefined });
      setTimeout(() => this.#end(kind), windowMs).unref();
      return true;
    }
    known.count += 1;
    if (known.count <= burst) return true;
    known.last = write;
    return false;
  }

  /** Writes what is held back. */
  flush(): void {
    for (const kind of [...this.#kinds.keys()]) this.#end(kind);
  }

  #end(kind: string): void {
    const known = this.#kinds.get(kind);
    this.#kinds.delete(kind);
    known?.last?.(known.count - burst);
  }
}
