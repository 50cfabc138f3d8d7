import {
  type DeadLetter,
  type DeadLetterName,
  deadLetterNames,
  deadLetterSchema,
  type LetterDescription,
  letterDescriptionSchema,
  type PoisonedLetter,
  poisonedLetterSchema,
} from '../push-job/dead-letter.ts';
import { deadLetterKeys, idempotencyRecordKey, ownRecordName } from '../redis/keys.ts';
import { runScript } from '../redis/scripts.ts';
import { type LetterSums, readLetterSums } from './letter-sums.ts';
import type { StatusOptions } from './status-options.ts';

// Dead letters as operators see them: the newest first, one push job's worth each. Lists read descriptions only.

/** A dead letter in a list. */
export type ListedLetter = LetterDescription & {
  readonly id: string;
  /** Of its id, data and description. */
  readonly bytes: number;
};

/** A dead letter, read. */
export type StoredLetter =
  | { readonly id: string; readonly name: 'dead'; readonly letter: DeadLetter }
  | { readonly id: string; readonly name: 'poisoned'; readonly letter: PoisonedLetter };

export interface LetterPage extends LetterSums {
  readonly letters: readonly ListedLetter[];
  /** All of the app. */
  readonly total: number;
  /** Where the next page begins; undefined: there is none. */
  readonly next: string | undefined;
}

/** Letters in a page, at most. */
export const maxPageLetters = 100;
/** What cursors look like. */
export const letterCursorPattern = /^\d{1,15}_[\w-]{1,100}$/;

/** Some of an app's letters, the newest first. @param page.cursor `next` of the page before. */
export async function listDeadLetters(
  options: StatusOptions,
  app: string,
  page: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<LetterPage> {
  const limit = Math.min(page.limit, maxPageLetters);
  return readPage(options, app, limit, page.cursor?.split('_', 2) ?? []);
}

/** @param after Time and id to go on after, or a time to begin at. */
export async function readPage(
  { redis, prefix }: StatusOptions,
  app: string,
  limit: number,
  after: readonly (string | number)[],
): Promise<LetterPage> {
  const { index, sums, base } = deadLetterKeys(prefix, app);
  const answer = await runScript(redis, 'page-letters', { index, sums }, { base, limit, after });
  const [total, fields, ...found] = answer as [number, string[], ...[string, string, string][]];
  const letters = found.flatMap(([id, meta, bytes]): ListedLetter[] =>
    meta === '' ? [] : [{ id, bytes: Number(bytes), ...letterDescriptionSchema.parse(JSON.parse(meta)) }],
  );
  const last = letters.at(-1);
  return {
    letters,
    total,
    ...readLetterSums(fields),
    next: last === undefined || found.length < limit ? undefined : `${last.atMs}_${last.id}`,
  };
}

/** A letter, and how lists show it. */
export interface FoundLetter {
  readonly stored: StoredLetter;
  readonly listed: ListedLetter;
  /** As it lies there: scripts are told what was read. */
  readonly description: string;
}

/** Undefined: there is no such letter. */
export async function readDeadLetter(
  { redis, prefix }: StatusOptions,
  app: string,
  id: string,
): Promise<FoundLetter | undefined> {
  const { index, base } = deadLetterKeys(prefix, app);
  // The queue's own keys lie beside those of its letters.
  if ((await redis.zscore(index, id)) === null) return undefined;
  const [name, data, description, bytes] = await redis.hmget(base + id, 'name', 'data', 'meta', 'bytes');
  if (typeof data !== 'string' || typeof description !== 'string') return undefined;
  if (!deadLetterNames.includes(name as DeadLetterName)) return undefined;
  const value: unknown = JSON.parse(data);
  const stored: StoredLetter =
    name === 'dead'
      ? { id, name: 'dead', letter: deadLetterSchema.parse(value) }
      : { id, name: 'poisoned', letter: poisonedLetterSchema.parse(value) };
  const listed = { id, bytes: Number(bytes), ...letterDescriptionSchema.parse(JSON.parse(description)) };
  return { stored, listed, description };
}

/** How long it is remembered that a letter was replayed, once it is gone, milliseconds. */
const rememberedMs = 86_400_000;

/** Takes a letter away, also from a Redis that is full; false: there was none. */
export async function discardDeadLetter(
  { redis, prefix }: StatusOptions,
  app: string,
  id: string,
): Promise<boolean> {
  const { index, sums, base } = deadLetterKeys(prefix, app);
  const record = idempotencyRecordKey(prefix, app, ownRecordName(replayKey(id)));
  const args = { base, id, recordLifeMs: rememberedMs };
  const removed = await runScript(redis, 'remove-letter', { index, sums, record }, args);
  return Number(removed) > 0;
}

/** The idempotency key under which a letter is enqueued again. */
export function replayKey(id: string): string {
  return `replay:${id}`;
}
