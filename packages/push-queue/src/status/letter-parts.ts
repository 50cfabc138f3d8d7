import { type DeadLetter, describeDead } from '../push-job/dead-letter.ts';
import { decodePushJob } from '../push-job/decode.ts';
import { encodePushJob } from '../push-job/encode.ts';
import { letterIndex } from './letter-filter.ts';

/** The letter of some places of a letter, ascending. */
export function partOfLetter(letter: DeadLetter, places: readonly number[]): DeadLetter {
  const { job, reasons, deaths } = letter;
  const whole = decodePushJob(JSON.stringify(job), job);
  const indexes = new Set(places.map((place) => String(letterIndex(job, place))));
  const chosen = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(all).filter(([index]) => indexes.has(index)));
  return {
    ...letter,
    reasons: chosen(reasons),
    ...(deaths === undefined ? {} : { deaths: chosen(deaths) }),
    job: encodePushJob(whole, { kind: 'selection', job: whole, places: Uint16Array.from(places) }),
  };
}

/** The letter without these places. */
export function restOfLetter(letter: DeadLetter, places: readonly number[]): DeadLetter {
  const gone = new Set(places);
  const kept = Array.from({ length: letter.job.count }, (_, place) => place);
  return partOfLetter(
    letter,
    kept.filter((place) => !gone.has(place)),
  );
}

/** Data, description and number of notifications, as the scripts take them. */
export function letterArgs(letter: DeadLetter): [data: string, description: string, count: number] {
  return [JSON.stringify(letter), JSON.stringify(describeDead(letter)), letter.job.count];
}
