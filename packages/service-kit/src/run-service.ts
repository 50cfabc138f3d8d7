import { writeSync } from 'node:fs';
import type { Tracer } from '@opentelemetry/api';
import type { LoadConfigOptions, ServiceConfig } from './load-config.ts';
import { loadConfig } from './load-config.ts';
import { cleanText } from './log/clean-text.ts';
import { loggedError } from './log/logged-error.ts';
import { type Logger, openLog, type ServiceLog } from './log/logger.ts';
import { createResourceStack, type ResourceStack } from './resource-stack.ts';
import { ServiceError } from './service-error.ts';
import { trustSystemAuthorities } from './trust-system-authorities.ts';
import { withDeadline } from './with-deadline.ts';

export interface ServiceContext {
  readonly config: ServiceConfig;
  readonly logger: Logger;
  /** Whatever `start` opens goes here; it is released on a signal, or when `start` fails. */
  readonly resources: ResourceStack;
  /** Aborted by the first signal: a start under way may give up. */
  readonly signal: AbortSignal;
  /** Undefined: traces are off. */
  readonly tracer: Tracer | undefined;
}

export interface RunServiceOptions extends Omit<LoadConfigOptions, 'service'> {
  readonly name: LoadConfigOptions['service'];
  readonly env: NodeJS.ProcessEnv;
  /** Opens the service; gives the ports it listens at, which stand in the ready line. */
  readonly start: (context: ServiceContext) => Promise<Readonly<Record<string, number>>>;
}

/** Beyond the drain's own deadline, for what comes after it: reports flushed, connections closed. Milliseconds. */
const releaseGraceMs = 10_000;

/**
 * A stop that reaches a whole process group comes twice where a launcher forwards it: from the supervisor and from the
 * launcher. The same signal again within this time is one stop, milliseconds.
 */
const repeatMs = 500;

/**
 * Runs a service until a signal ends it; the whole of a service's `main.ts`, and the only place that knows signals
 * and exit codes. The first SIGTERM or SIGINT releases the resources in order and exits with 0, a second one exits
 * with 1 at once (the same one within half a second is the first, repeated), and so does an error that is not caught:
 * what is in Redis is then taken up by others.
 */
export async function runService(options: RunServiceOptions): Promise<void> {
  const resources = createResourceStack();
  const abort = new AbortController();
  let log: ServiceLog | undefined;
  const exit = (code: 0 | 1): never => {
    log?.flush();
    return process.exit(code);
  };
  let releaseTimeoutMs = releaseGraceMs;
  let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined;

  const stop = async (signal: NodeJS.Signals) => {
    if (first !== undefined) {
      if (signal === first.signal && performance.now() - first.atMs < repeatMs) return;
      log?.logger.warn({ signal }, 'second signal, exiting at once');
      process.exit(1);
    }
    first = { signal, atMs: performance.now() };
    abort.abort();
    log?.logger.info({ signal }, 'stopping');
    try {
      await withDeadline(resources.release(), releaseTimeoutMs);
      log?.logger.info('stopped');
      exit(0);
    } catch (err) {
      log?.logger.error({ err }, 'the stop failed');
      exit(1);
    }
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
  const crash = (err: unknown, origin: string) => {
    if (log === undefined) printProblem(err);
    else log.logger.fatal({ err, origin }, 'uncaught error; the process ends');
    exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', (reason) => crash(reason, 'unhandledRejection'));

  try {
    const config = await loadConfig(options.env, { ...options, service: options.name });
    releaseTimeoutMs += config.drainTimeoutMs;
    trustSystemAuthorities();
    // The SDK is loaded only where it is wanted.
    const sdk = config.tracing === undefined ? undefined : await import('./tracing/open-tracing.ts');
    log = openLog({ service: options.name, level: config.logLevel, mixin: sdk?.activeSpanIds });
    const { logger } = log;
    const tracing = config.tracing && sdk?.openTracing(options.name, config.tracing, logger);
    // Given up last: what ends with the others is handed over too.
    if (tracing !== undefined) resources.add('the traces', () => tracing.close());
    const { signal } = abort;
    const ports = await options.start({ config, logger, resources, signal, tracer: tracing?.tracer });
    if (!abort.signal.aborted) logger.info(ports, 'ready');
  } catch (error) {
    // A start that a signal interrupted fails as a matter of course; `stop` exits.
    if (abort.signal.aborted) return;
    printProblem(error);
    await withDeadline(resources.release(), releaseTimeoutMs).catch(printProblem);
    exit(1);
  }
}

/** For whoever started us. What people can do something about is told without a stack. */
function printProblem(error: unknown): void {
  const isTold = error instanceof ServiceError || (error instanceof Error && 'code' in error);
  const { type, message, stack = '' } = loggedError(error);
  const text = isTold ? cleanText(error.message) : `${type}: ${message}\n${stack}`.trimEnd();
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // Nobody reads it, or reads it yet; the exit code says that it failed.
  }
}
