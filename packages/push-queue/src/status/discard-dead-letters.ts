import { deadLetterKeys } from '../redis/keys.ts';
import { runScript } from '../redis/scripts.ts';
import { discardDeadLetter, type ListedLetter, readDeadLetter } from './dead-letters.ts';
import {
  cursorAt,
  type DeadLetterFilter,
  type LetterStep,
  matchingCount,
  matchingPage,
  matchingPlaces,
  maxStepPages,
} from './letter-filter.ts';
import { letterArgs, restOfLetter } from './letter-parts.ts';
import type { StatusOptions } from './status-options.ts';

/** What became of a letter of which something was discarded. */
export interface DiscardedLetter {
  readonly id: string;
  /** Of it; 1 for a push job that could not be read. */
  readonly notifications: number;
  /** The letter holds others, which stay. */
  readonly isPart: boolean;
}

/** What one step has discarded. */
export interface DiscardStep {
  readonly letters: readonly DiscardedLetter[];
  /** Where the next step begins; undefined: this was the last. */
  readonly next: string | undefined;
}

/**
 * Takes away some of what a filter means, letter by letter, also from a Redis that is full; of a letter that also holds
 * others, those stay. A letter is finished although it exceeds the limit.
 */
export async function discardStep(
  options: StatusOptions,
  app: string,
  filter: DeadLetterFilter,
  { cursor, limit }: LetterStep,
): Promise<DiscardStep> {
  const done: DiscardedLetter[] = [];
  let left = limit;
  let next = cursor;
  for (let pages = 0; pages < maxStepPages; pages++) {
    const page = await matchingPage(options, app, filter, next);
    for (const letter of page.letters) {
      if (left <= 0) return { letters: done, next: cursorAt(letter) };
      const discarded = await discardMatching(options, app, letter, filter);
      if (discarded === undefined) continue;
      done.push(discarded);
      left -= discarded.notifications;
    }
    next = page.next;
    if (next === undefined) break;
  }
  return { letters: done, next };
}

/** Discards all that a filter means, step by step. */
export async function* discardDeadLetters(
  options: StatusOptions,
  app: string,
  filter: DeadLetterFilter,
): AsyncGenerator<DiscardedLetter> {
  let cursor: string | undefined;
  do {
    const step = await discardStep(options, app, filter, { cursor, limit: 1_000 });
    yield* step.letters;
    cursor = step.next;
  } while (cursor !== undefined);
}

async function discardMatching(
  options: StatusOptions,
  app: string,
  letter: ListedLetter,
  filter: DeadLetterFilter,
): Promise<DiscardedLetter | undefined> {
  const notifications = letter.kind === 'poisoned' ? 1 : letter.count;
  if (matchingCount(letter, filter) !== notifications) return discardPart(options, app, letter, filter);
  const isGone = await discardDeadLetter(options, app, letter.id);
  return isGone ? { id: letter.id, notifications, isPart: false } : undefined;
}

async function discardPart(
  options: StatusOptions,
  app: string,
  { id }: ListedLetter,
  filter: DeadLetterFilter,
): Promise<DiscardedLetter | undefined> {
  const { index, sums, base } = deadLetterKeys(options.prefix, app);
  for (;;) {
    const read = await readDeadLetter(options, app, id);
    if (read?.stored.name !== 'dead') return undefined;
    const { letter } = read.stored;
    const places = matchingPlaces(letter, filter);
    if (places.length === 0) return undefined;
    if (places.length === letter.job.count) {
      const isGone = await discardDeadLetter(options, app, id);
      return isGone ? { id, notifications: places.length, isPart: false } : undefined;
    }
    const [restData, restDescription, restCount] = letterArgs(restOfLetter(letter, places));
    const rest = { restData, restDescription, restCount };
    const args = { base, id, description: read.description, name: 'dead', atMs: letter.atMs, ...rest };
    const result = await runScript(options.redis, 'remove-part', { index, sums }, args);
    if (result === 'gone') return undefined;
    if (result === 'part') return { id, notifications: places.length, isPart: true };
  }
}
