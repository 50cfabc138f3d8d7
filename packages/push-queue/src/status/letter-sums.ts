import type { TrimmedLetters } from '../push-job/dead-letter.ts';

/** What an app has of dead letters. */
export interface LetterSums {
  readonly bytes: number;
  /** Notifications by reason; a push job that could not be read counts as one. */
  readonly reasons: Readonly<Record<string, number>>;
  /** What the retention has taken since the app first sent. */
  readonly trimmed: TrimmedLetters;
}

const reasonField = 'reason:';

/** @param fields Fields and values in turn, as HGETALL gives them in a script. */
export function readLetterSums(fields: readonly string[]): LetterSums {
  const sums = new Map<string, number>();
  for (let at = 0; at < fields.length; at += 2) sums.set(fields[at]!, Number(fields[at + 1]));
  const reasons = [...sums]
    .filter(([field]) => field.startsWith(reasonField))
    .map(([field, count]) => [field.slice(reasonField.length), count] as const)
    .toSorted(([, a], [, b]) => b - a);
  return {
    bytes: sums.get('bytes') ?? 0,
    reasons: Object.fromEntries(reasons),
    trimmed: {
      age: sums.get('trimmed-age') ?? 0,
      bytes: sums.get('trimmed-bytes') ?? 0,
      notifications: sums.get('trimmed-notifications') ?? 0,
    },
  };
}
