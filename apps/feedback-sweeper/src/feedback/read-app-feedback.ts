import { type FeedbackEnd, readFeedback, type TlsCredential } from '@pushfleet/apns-client';
import { backoffMs, type Logger, pause, readAuthorities } from '@pushfleet/service-kit';
import type { FeedbackReading, FeedbackTuple, ReadingEnd, ReadingResult } from '@pushfleet/token-store';
import type { Trouble } from '../trouble.ts';
import type { FeedbackApp } from './feedback-app.ts';

/** Stored and applied in one transaction each: how long a registration may have to wait for one of them. */
const chunkTuples = 5_000;

export interface ReadAppFeedbackOptions {
  readonly app: FeedbackApp;
  readonly reading: FeedbackReading;
  readonly logger: Logger;
  readonly postgres: Trouble;
  /** Ends the reading; what was read is stored all the same. */
  readonly stopSignal: AbortSignal;
  /** Gives up storing what was read: nobody will have it then. */
  readonly giveUpSignal: AbortSignal;
  readonly silenceTimeoutMs?: number;
  /** Some more can be applied. Must not throw. */
  readonly onStored: () => void;
}

/**
 * Reads the feedback service of an app into Postgres. The service has forgotten what it sent, so storing is tried
 * until it works; meanwhile the service is made to wait, and the connection may break: what has arrived stays.
 */
export async function readAppFeedback(options: ReadAppFeedbackOptions): Promise<ReadingResult> {
  const { app, reading, logger, stopSignal } = options;
  const lost = new AbortController();
  let end: ReadingEnd & { tuples?: number };
  const credential = await readCredential(app);
  if (credential instanceof Error) {
    end = { result: 'failed', detail: credential.message };
  } else {
    const { silenceTimeoutMs } = options;
    end = await readFeedback({
      host: app.service.host,
      port: app.service.port,
      ...(credential.ca === undefined ? {} : { ca: credential.ca }),
      credential,
      chunkTuples,
      signal: AbortSignal.any([stopSignal, lost.signal]),
      ...(silenceTimeoutMs === undefined ? {} : { silenceTimeoutMs }),
      onTuples: async (tuples) => {
        await store(options, tuples);
        options.onStored();
        // Another reader may be at work: one at a time (`docs/protocol/feedback.md#one-reader`).
        if (reading.hasLostLock) lost.abort();
      },
    });
  }
  await untilStored(options, 0, () => reading.finish(end));
  logEnd(logger, app.id, end, reading.count);
  return end.result;
}

async function readCredential(app: FeedbackApp): Promise<(TlsCredential & { ca?: string }) | Error> {
  try {
    const { cert, key } = app.credential.current();
    const { ca } = app.service;
    return ca === undefined ? { cert, key } : { cert, key, ca: readAuthorities(ca) };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function store(options: ReadAppFeedbackOptions, tuples: readonly FeedbackTuple[]): Promise<void> {
  await untilStored(options, tuples.length, () => options.reading.append(tuples));
}

/** @throws the last error, once it is given up */
async function untilStored(
  { app, reading, logger, postgres, giveUpSignal }: ReadAppFeedbackOptions,
  count: number,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      await work();
      postgres.succeeded();
      return;
    } catch (err) {
      postgres.failed(err);
      if (!(await pause(backoffMs(postgres.failures), giveUpSignal))) {
        if (count > 0) {
          logger.fatal(
            { app: app.id, reading: reading.id, tuples: count, err },
            'feedback that was read is lost',
          );
        }
        throw err;
      }
    }
  }
}

const quietResults: readonly FeedbackEnd['result'][] = ['complete', 'stopped'];

function logEnd(logger: Logger, app: string, end: ReadingEnd, tuples: number): void {
  const facts = {
    app,
    result: end.result,
    tuples,
    reason: end.detail,
    remainder: end.remainder?.length ?? 0,
  };
  if ((quietResults as readonly string[]).includes(end.result)) logger.info(facts, 'feedback read');
  else logger.warn(facts, 'feedback service was not read to its end');
}
