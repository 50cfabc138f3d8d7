import {
  type DeadLetterFilter,
  matchingCount,
  matchingPlaces,
  readDeadLetter,
  type StatusOptions,
  walkDeadLetters,
} from '@pushfleet/push-queue/status';

/** What a filter means at the moment. */
export interface MatchingLetters {
  /** Letters that can be read. */
  readonly letters: number;
  readonly notifications: number;
  /** Ids of letters that cannot be read. */
  readonly unreadable: readonly string[];
}

/** Counts what a filter means; of most letters it reads the description only. */
export async function countLetters(
  options: StatusOptions,
  app: string,
  filter: DeadLetterFilter,
): Promise<MatchingLetters> {
  let letters = 0;
  let notifications = 0;
  const unreadable: string[] = [];
  for await (const letter of walkDeadLetters(options, app, filter)) {
    if (letter.kind === 'poisoned') {
      unreadable.push(letter.id);
      continue;
    }
    const count = matchingCount(letter, filter) ?? (await countByReading(options, app, letter.id, filter));
    if (count > 0) letters++;
    notifications += count;
  }
  return { letters, notifications, unreadable };
}

/** What naming one letter means. */
export async function countLetter(
  options: StatusOptions,
  app: string,
  id: string,
): Promise<MatchingLetters | undefined> {
  const found = await readDeadLetter(options, app, id);
  if (found === undefined) return undefined;
  const { stored } = found;
  if (stored.name === 'poisoned') return { letters: 0, notifications: 0, unreadable: [id] };
  return { letters: 1, notifications: stored.letter.job.count, unreadable: [] };
}

async function countByReading(
  options: StatusOptions,
  app: string,
  id: string,
  filter: DeadLetterFilter,
): Promise<number> {
  const { stored } = (await readDeadLetter(options, app, id)) ?? {};
  return stored?.name === 'dead' ? matchingPlaces(stored.letter, filter).length : 0;
}
