import {
  type DeadLetter,
  type DeadLetterName,
  deadLetterNames,
  deadLetterSchema,
  type PoisonedLetter,
  poisonedLetterSchema,
} from '../dead-letter.ts';
import type { BatchResult } from '../enqueue/batch-sends.ts';
import type { NotificationInput, PushType } from '../enqueue/notification-input.ts';
import type { PushQueue } from '../enqueue/push-queue.ts';
import type { PushJobData } from '../push-job.ts';
import { appPrefix, deadLetterQueue } from '../redis-keys.ts';
import { valueAt } from '../value-at.ts';
import type { StatusOptions } from './status-options.ts';

// Dead letters as operators see them: the newest first, one push job's worth each. Replaying puts the notifications of
// a letter in the queue again as a batch of their own, once however often it is asked for, and takes the letter away.

/** A dead letter, read. */
export type StoredLetter =
  | { readonly id: string; readonly name: 'dead'; readonly letter: DeadLetter }
  | { readonly id: string; readonly name: 'poisoned'; readonly letter: PoisonedLetter };

export interface LetterPage {
  readonly letters: readonly StoredLetter[];
  /** All of the app. */
  readonly total: number;
}

/** Some of an app's letters, the newest first. @param page.offset How many to pass over. */
export async function listDeadLetters(
  options: StatusOptions,
  app: string,
  page: { readonly offset: number; readonly limit: number },
): Promise<LetterPage> {
  const wait = `${queueKey(options, app)}:wait`;
  const [ids, total] = await Promise.all([
    options.redis.lrange(wait, page.offset, page.offset + page.limit - 1),
    options.redis.llen(wait),
  ]);
  const letters = await Promise.all(ids.map((id) => readLetter(options, app, id)));
  return { letters: letters.filter((letter) => letter !== undefined), total };
}

/** Undefined: there is no such letter. */
export async function readDeadLetter(
  options: StatusOptions,
  app: string,
  id: string,
): Promise<StoredLetter | undefined> {
  // The queue's own keys lie beside those of its letters.
  const place = await options.redis.lpos(`${queueKey(options, app)}:wait`, id);
  return place === null ? undefined : readLetter(options, app, id);
}

async function readLetter(
  options: StatusOptions,
  app: string,
  id: string,
): Promise<StoredLetter | undefined> {
  const [name, data] = await options.redis.hmget(`${queueKey(options, app)}:${id}`, 'name', 'data');
  if (typeof data !== 'string' || !deadLetterNames.includes(name as DeadLetterName)) return undefined;
  const value: unknown = JSON.parse(data);
  return name === 'dead'
    ? { id, name: 'dead', letter: deadLetterSchema.parse(value) }
    : { id, name: 'poisoned', letter: poisonedLetterSchema.parse(value) };
}

/**
 * KEYS: the list, the letter; what is not in the list is none. A script and no transaction, which a Redis that is full
 * refuses: this makes room.
 */
const discardScript = `
local removed = redis.call('LREM', KEYS[1], 0, ARGV[1])
if removed > 0 then redis.call('DEL', KEYS[2]) end
return removed`;

/** Takes a letter away; false: there was none. */
export async function discardDeadLetter(options: StatusOptions, app: string, id: string): Promise<boolean> {
  const key = queueKey(options, app);
  const removed = await options.redis.eval(discardScript, 2, `${key}:wait`, `${key}:${id}`, id);
  return Number(removed) > 0;
}

export interface ReplayOptions {
  /** Seconds that APNs may store those whose own time has passed. Default: the queue's `defaultTtlSeconds`. */
  readonly ttl?: number;
}

/**
 * Enqueues the notifications of a letter again, with their payloads and options; those whose time has passed get a new
 * one. Killed in between and asked again it enqueues them once. Throws `PushQueueError`.
 */
export async function replayDeadLetter(
  options: StatusOptions,
  queue: PushQueue,
  stored: Extract<StoredLetter, { name: 'dead' }>,
  replay: ReplayOptions = {},
): Promise<BatchResult> {
  const { job } = stored.letter;
  const result = await queue.enqueueBatch(
    {
      app: job.app,
      lane: job.lane,
      notifications: notificationsOf(job, replay),
      idempotencyKey: `replay:${stored.id}`,
    },
    { fingerprint: 'replay' },
  );
  await discardDeadLetter(options, job.app, stored.id);
  return result;
}

/** The notifications of a push job as they were handed over. */
function notificationsOf(job: PushJobData, replay: ReplayOptions): NotificationInput[] {
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
      ...(hasPassed && replay.ttl !== undefined ? { ttl: replay.ttl } : {}),
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

function queueKey({ prefix }: StatusOptions, app: string): string {
  return `${appPrefix(prefix, app)}:${deadLetterQueue}`;
}
