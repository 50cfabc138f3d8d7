import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NotificationInput, PushType } from '../enqueue/notification-input.ts';
import type { PushQueue } from '../enqueue/push-queue.ts';
import type { BatchId } from '../notification-id.ts';
import { valueAt } from '../push-job/columns.ts';
import type { DeadLetter } from '../push-job/dead-letter.ts';
import { maxJobNotifications, type PushJobData } from '../push-job/format.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { deadLetterKeys } from '../redis/keys.ts';
import { runScript } from '../redis/scripts.ts';
import { discardDeadLetter, readDeadLetter, replayKey } from './dead-letters.ts';
import {
  cursorAt,
  type DeadLetterFilter,
  type LetterStep,
  matchingPage,
  matchingPlaces,
  maxStepPages,
} from './letter-filter.ts';
import { letterArgs, partOfLetter, restOfLetter } from './letter-parts.ts';
import type { StatusOptions } from './status-options.ts';

// Replaying puts notifications of a letter in the queue again as a batch of their own, and takes them out of the
// letter. Each is enqueued once, wherever a replay is killed and with whatever filter it is asked for again: what is to
// be enqueued is first made a letter of its own, which from then on is only replayed as it is, under its own
// idempotency key.

export interface ReplayOptions {
  /** Seconds that APNs may store those whose own time has passed. Default: the queue's `defaultTtlSeconds`. */
  readonly ttl?: number | undefined;
}

export interface BulkReplayOptions extends ReplayOptions {
  /** Notifications per second. Absent: as fast as Redis takes them. */
  readonly rate?: number | undefined;
  /** Aborted: the replay ends after what it is at. */
  readonly signal?: AbortSignal | undefined;
  /** Waits milliseconds; for tests. */
  readonly pause?: (ms: number) => Promise<void>;
  /** Milliseconds of a clock that only goes on; for tests. */
  readonly now?: () => number;
}

/** What a replay did with a letter, or with a part of it. */
export interface ReplayedLetter {
  readonly letter: string;
  readonly batchId: BatchId;
  readonly notifications: number;
  /** An earlier replay, which was interrupted, had enqueued them. */
  readonly replayed: boolean;
}

/** A letter that the queue does not take any more, such as one that is too large for the app's new transport. */
export interface UnreplayableLetter {
  readonly letter: string;
  readonly error: string;
}

/** How long it is remembered that a letter was enqueued, while it lies there, milliseconds. */
const rememberedMs = 30 * 86_400_000;

/**
 * Enqueues the notifications of a letter again, with their payloads and options; those whose time has passed get a new
 * one. Undefined: there is no such letter, or it cannot be read. Throws `PushQueueError`.
 */
export async function replayDeadLetter(
  options: StatusOptions,
  queue: PushQueue,
  app: string,
  id: string,
  replay: ReplayOptions = {},
): Promise<ReplayedLetter | undefined> {
  return replayPart(options, queue, { app, id, filter: {}, atMost: maxJobNotifications, ...replay });
}

/** What one step has replayed. */
export interface ReplayStep {
  readonly letters: readonly (ReplayedLetter | UnreplayableLetter)[];
  /** Where the next step begins; undefined: this was the last. */
  readonly next: string | undefined;
}

/** Replays some of what a filter means, letter by letter. Throws `PushQueueError`. */
export async function replayStep(
  options: StatusOptions,
  queue: PushQueue,
  app: string,
  filter: DeadLetterFilter,
  { cursor, limit, ttl }: LetterStep & ReplayOptions,
): Promise<ReplayStep> {
  const done: (ReplayedLetter | UnreplayableLetter)[] = [];
  let left = limit;
  let next = cursor;
  for (let pages = 0; pages < maxStepPages; pages++) {
    const page = await matchingPage(options, app, filter, next);
    for (const letter of page.letters) {
      if (letter.kind === 'poisoned') continue;
      const { id } = letter;
      let part: ReplayedLetter | UnreplayableLetter | undefined;
      do {
        if (left <= 0) return { letters: done, next: cursorAt(letter) };
        try {
          part = await tryReplay(options, queue, { app, id, filter, atMost: left, ttl });
        } catch (error) {
          // What has been done is told; whoever goes on from there hears the same, if there is no room by then.
          if (done.length === 0 || !(error instanceof PushQueueError && error.code === 'quota-exceeded'))
            throw error;
          return { letters: done, next: cursorAt(letter) };
        }
        if (part === undefined) break;
        done.push(part);
        left -= 'error' in part ? 0 : part.notifications;
      } while (!('error' in part));
    }
    next = page.next;
    if (next === undefined) break;
  }
  return { letters: done, next };
}

/**
 * Replays all that a filter means, at a rate. Interrupted and asked for again it goes on with what is left. Letters that
 * come meanwhile are not touched. Throws `PushQueueError`.
 */
export async function* replayDeadLetters(
  options: StatusOptions,
  queue: PushQueue,
  app: string,
  filter: DeadLetterFilter,
  replay: BulkReplayOptions = {},
): AsyncGenerator<ReplayedLetter | UnreplayableLetter> {
  const {
    rate = Number.POSITIVE_INFINITY,
    signal,
    pause = sleep,
    now = () => performance.now(),
    ttl,
  } = replay;
  // A second's worth at a time: a rate is not kept by a thousand at once.
  const limit = Math.max(1, Math.min(maxJobNotifications, Math.floor(rate)));
  let cursor: string | undefined;
  do {
    const startMs = now();
    const step = await replayStep(options, queue, app, filter, { cursor, limit, ttl });
    yield* step.letters;
    cursor = step.next;
    const enqueued = step.letters.reduce((sum, one) => sum + ('error' in one ? 0 : one.notifications), 0);
    const restMs = (enqueued / rate) * 1_000 - (now() - startMs);
    if (cursor !== undefined && restMs > 0) await pause(restMs);
  } while (cursor !== undefined && signal?.aborted !== true);
}

interface PartWanted extends ReplayOptions {
  readonly app: string;
  readonly id: string;
  readonly filter: DeadLetterFilter;
  /** Notifications. */
  readonly atMost: number;
}

async function tryReplay(
  options: StatusOptions,
  queue: PushQueue,
  wanted: PartWanted,
): Promise<ReplayedLetter | UnreplayableLetter | undefined> {
  try {
    return await replayPart(options, queue, wanted);
  } catch (error) {
    if (!(error instanceof PushQueueError) || error.code !== 'invalid-notification') throw error;
    return { letter: wanted.id, error: error.message };
  }
}

async function replayPart(
  options: StatusOptions,
  queue: PushQueue,
  wanted: PartWanted,
): Promise<ReplayedLetter | undefined> {
  const { app, id, ttl } = wanted;
  const begun = await beginReplay(options, wanted);
  if (begun === undefined) return undefined;
  const { job } = begun.letter;
  const { batchId, notificationIds, replayed } = await queue.enqueueBatch(
    {
      app,
      lane: job.lane,
      notifications: notificationsOf(job, ttl),
      idempotencyKey: replayKey(begun.id),
    },
    { fingerprint: 'replay', idempotencyWindowMs: rememberedMs, isOwn: true },
  );
  await discardDeadLetter(options, app, begun.id);
  return { letter: id, batchId, notifications: notificationIds.length, replayed };
}

/** The letter to enqueue, which nobody else takes apart any more; undefined: nothing there is meant. */
async function beginReplay(
  { redis, prefix }: StatusOptions,
  { app, id, filter, atMost }: PartWanted,
): Promise<{ readonly id: string; readonly letter: DeadLetter } | undefined> {
  const { index, sums, base } = deadLetterKeys(prefix, app);
  for (;;) {
    const read = await readDeadLetter({ redis, prefix }, app, id);
    if (read?.stored.name !== 'dead') return undefined;
    const { letter } = read.stored;
    const places = matchingPlaces(letter, filter).slice(0, atMost);
    if (places.length === 0) return undefined;
    const parts: (string | number)[] = [];
    let part = { id, letter };
    if (places.length < letter.job.count) {
      part = { id: `${id}-r${randomBytes(4).toString('hex')}`, letter: partOfLetter(letter, places) };
      parts.push('dead', letter.atMs, part.id, ...letterArgs(part.letter));
      parts.push(...letterArgs(restOfLetter(letter, places)));
    }
    const args = { base, id, description: read.description, part: parts };
    const result = await runScript(redis, 'begin-replay', { index, sums }, args);
    if (result === 'gone') return undefined;
    if (result === 'whole') return { id, letter };
    if (result === 'part') return part;
  }
}

/** The notifications of a push job as they were handed over. */
function notificationsOf(job: PushJobData, ttl: number | undefined): NotificationInput[] {
  const tokens = slices(Buffer.from(job.tokens, 'base64'), lengthsOf(job));
  const payloads = slices(Buffer.from(job.payloads, 'base64'), job.payloadLength).map(
    (bytes) => JSON.parse(bytes.toString('utf8')) as NonNullable<NotificationInput['payload']>,
  );
  const nowSeconds = Date.now() / 1000;
  return tokens.map((token, place) => {
    const collapseId = valueAt(job.collapseId ?? null, place);
    const expiration = valueAt(job.expiration, place);
    const hasPassed = expiration !== 0 && expiration <= nowSeconds;
    return {
      token: token.toString('hex'),
      payload: payloads[job.payloadOf?.[place] ?? (payloads.length === 1 ? 0 : place)]!,
      priority: valueAt(job.priority, place),
      pushType: valueAt(job.pushType ?? 'alert', place) as PushType,
      ...(collapseId === null ? {} : { collapseId }),
      ...(expiration === 0 ? { ttl: 0 } : {}),
      ...(expiration !== 0 && !hasPassed ? { expiresAt: expiration } : {}),
      ...(hasPassed && ttl !== undefined ? { ttl } : {}),
    };
  });
}

function lengthsOf({ tokenLength, count }: PushJobData): number[] {
  return typeof tokenLength === 'number' ? Array.from({ length: count }, () => tokenLength) : tokenLength;
}

function slices(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
}
