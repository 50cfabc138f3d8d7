import { parseRecord } from '../enqueue/idempotency-record.ts';
import type { BatchId } from '../notification-id.ts';
import { pushJobId } from '../push-job/id.ts';
import { idempotencyRecordKey, ownRecordName } from '../redis/keys.ts';
import { readDeadLetter, replayKey } from './dead-letters.ts';
import type { StatusOptions } from './status-options.ts';

/** Where a notification that ended as dead is now. */
export interface LetterOf {
  /** Id of the dead letter that holds it; undefined: none does any more. */
  readonly letter: string | undefined;
  /** The batch that its letter was enqueued as again; known for a day after the letter has gone. */
  readonly replayedAs: BatchId | undefined;
}

/** @param firstIndex Of its push job. */
export async function findLetterOf(
  options: StatusOptions,
  app: string,
  { batch, firstIndex, index }: { batch: BatchId; firstIndex: number; index: number },
): Promise<LetterOf> {
  const id = pushJobId(batch, firstIndex);
  const found = await readDeadLetter(options, app, id);
  const holds = found?.stored.name === 'dead' && String(index) in found.stored.letter.reasons;
  if (holds) return { letter: id, replayedAs: undefined };
  const key = idempotencyRecordKey(options.prefix, app, ownRecordName(replayKey(id)));
  const record = await options.redis.get(key);
  const replayed = record === null ? undefined : parseRecord(record);
  return {
    letter: undefined,
    replayedAs: replayed === undefined || replayed.count === 0 ? undefined : replayed.batch,
  };
}
