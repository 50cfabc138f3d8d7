import type { Lane } from '../lane.ts';
import { valueAt } from '../push-job/columns.ts';
import { type DeadLetter, poisonedReason } from '../push-job/dead-letter.ts';
import { type ListedLetter, maxPageLetters, readPage } from './dead-letters.ts';
import type { StatusOptions } from './status-options.ts';

/** How far one step of a bulk replay or discard goes. */
export interface LetterStep {
  /** Where it begins: `next` of the step before. */
  readonly cursor?: string | undefined;
  /** Notifications, at most. */
  readonly limit: number;
}

/** Pages that one step looks at, at most: with a filter that means little, most of its time. */
export const maxStepPages = 50;

/** Where a step goes on when a letter was not finished: at the beginning of its millisecond. */
export function cursorAt({ atMs }: ListedLetter): string {
  return `${atMs}_0`;
}

/** Which dead notifications are meant. What is absent does not matter. */
export interface DeadLetterFilter {
  /** Exactly; `poisoned` for push jobs that could not be read. */
  readonly reason?: string | undefined;
  readonly lane?: Lane | undefined;
  /** Letters written at or after this time, epoch milliseconds. */
  readonly sinceMs?: number | undefined;
  /** Letters written at or before this time, epoch milliseconds. */
  readonly untilMs?: number | undefined;
}

/** Some letters that hold, or may hold, what a filter means, the newest first. */
interface MatchingPage {
  readonly letters: readonly ListedLetter[];
  /** Where to go on; undefined: there are no more. */
  readonly next: string | undefined;
}

/** Looks at as many letters as a page has, which may be none that is meant; reads no data. */
export async function matchingPage(
  options: StatusOptions,
  app: string,
  filter: DeadLetterFilter,
  cursor: string | undefined,
): Promise<MatchingPage> {
  const { sinceMs = 0, untilMs } = filter;
  const start = cursor?.split('_', 2) ?? (untilMs === undefined ? [] : [untilMs]);
  const { letters, next } = await readPage(options, app, maxPageLetters, start);
  const recent = letters.filter(({ atMs }) => atMs >= sinceMs);
  return {
    letters: recent.filter((letter) => mayMatch(letter, filter)),
    next: recent.length < letters.length ? undefined : next,
  };
}

/**
 * The letters that hold, or may hold, what a filter means, the newest first. Letters that come while it goes on are not
 * among them.
 */
export async function* walkDeadLetters(
  options: StatusOptions,
  app: string,
  filter: DeadLetterFilter,
): AsyncGenerator<ListedLetter> {
  let cursor: string | undefined;
  do {
    const page = await matchingPage(options, app, filter, cursor);
    yield* page.letters;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Whether it holds something that is meant; when its description does not name all reasons, that it may. */
function mayMatch(letter: ListedLetter, { reason, lane }: DeadLetterFilter): boolean {
  if (letter.kind === 'poisoned') return lane === undefined && (reason ?? poisonedReason) === poisonedReason;
  if (lane !== undefined && letter.lane !== lane) return false;
  return reason === undefined || reason in letter.reasons || letter.others !== undefined;
}

/** Notifications of a listed letter that are meant; undefined: its description does not tell. */
export function matchingCount(letter: ListedLetter, { reason }: DeadLetterFilter): number | undefined {
  if (letter.kind === 'poisoned') return 1;
  if (reason === undefined) return letter.count;
  return letter.reasons[reason] ?? (letter.others === undefined ? 0 : undefined);
}

/** Places in the letter's push job of the notifications that are meant. */
export function matchingPlaces({ job, reasons }: DeadLetter, { reason }: DeadLetterFilter): number[] {
  const places = Array.from({ length: job.count }, (_, place) => place);
  if (reason === undefined) return places;
  return places.filter((place) => reasons[letterIndex(job, place)] === reason);
}

/** Index in the batch of a place of a letter's push job. */
export function letterIndex({ index }: DeadLetter['job'], place: number): number {
  return typeof index === 'number' ? index + place : valueAt(index, place);
}
