import {
  type DeadLetter,
  defaultLetterRetention,
  describeDead,
  describePoisoned,
  type LetterRetention,
  type PoisonedLetter,
  type TrimmedLetters,
} from '../push-job/dead-letter.ts';
import { encodePushJob } from '../push-job/encode.ts';
import { type DeadLetterKeys, deadLetterKeys } from '../redis/keys.ts';
import type { ScriptArgs } from '../redis/scripts.ts';
import type { HeldJob, TakenJob } from './lane-queue.ts';
import type { Settlement } from './settlement.ts';
import type { WorkerLink } from './worker-link.ts';

/** Letters that one script trims, at most. */
const maxTrimmed = 100;

export interface DeadLettersOptions {
  readonly retention?: LetterRetention;
  /** Letters went because of the retention. Must not throw. */
  readonly onTrimmed?: (trimmed: TrimmedLetters) => void;
}

/** Writes the dead letters of one app. The id of a letter is its push job's: written twice, it is there once. */
export class DeadLetters {
  readonly #link: WorkerLink;
  readonly #keys: DeadLetterKeys;
  readonly #retention: LetterRetention;
  readonly #onTrimmed: (trimmed: TrimmedLetters) => void;

  constructor(link: WorkerLink, app: string, options: DeadLettersOptions = {}) {
    this.#link = link;
    this.#keys = deadLetterKeys(link.prefix, app);
    this.#retention = options.retention ?? defaultLetterRetention;
    this.#onTrimmed = options.onTrimmed ?? (() => undefined);
  }

  /** Keeps the notifications of a job that ended as dead. Throws `PushQueueError`. */
  async keepDead(held: HeldJob, settlement: Settlement, atMs: number): Promise<void> {
    const reasons: Record<string, string> = {};
    const deaths: NonNullable<DeadLetter['deaths']> = {};
    for (const { index, outcome, reason, status, atMs: diedAtMs } of settlement.exceptions) {
      if (outcome !== 'dead') continue;
      reasons[index] = reason;
      deaths[index] = { ...(status === undefined ? {} : { status }), atMs: diedAtMs };
    }
    const { job } = settlement;
    const data = encodePushJob(job, { kind: 'selection', job, places: settlement.deadPlaces() });
    const letter: DeadLetter = { v: 1, reasons, deaths, job: data, atMs };
    await this.keep(held.id, letter);
  }

  /** Keeps the data of a job that cannot be read. Throws `PushQueueError`. */
  async keepPoisoned(job: TakenJob, error: string, atMs: number): Promise<void> {
    await this.keep(`${job.id}-poisoned`, { v: 1, error, raw: job.data, atMs });
  }

  /** Keeps a letter, unless there is one of that id. Throws `PushQueueError`. */
  async keep(id: string, letter: DeadLetter | PoisonedLetter): Promise<void> {
    const { atMs } = letter;
    const [name, description, count] =
      'raw' in letter
        ? (['poisoned', describePoisoned(letter), 1] as const)
        : (['dead', describeDead(letter), letter.job.count] as const);
    const texts = { data: JSON.stringify(letter), description: JSON.stringify(description) };
    const args = { ...this.#limits(atMs), id, name, ...texts, count, atMs };
    this.#report(await this.#link.run('keep-letter', this.#keys, args));
  }

  /** Trims what has become too old, or too much for smaller settings. Throws `PushQueueError`. */
  async trim(nowMs: number): Promise<void> {
    for (let more = true; more; ) {
      const answer = await this.#link.run('trim-letters', this.#keys, this.#limits(nowMs));
      const { age, bytes } = this.#report(answer);
      more = age + bytes === maxTrimmed;
    }
  }

  #limits(nowMs: number): ScriptArgs<'trim-letters'> {
    const { bytes: maxBytes, ageMs } = this.#retention;
    return { base: this.#keys.base, maxBytes, oldestMs: nowMs - ageMs, maxTrimmed };
  }

  /** @param answer Of a script that trims. */
  #report(answer: unknown): TrimmedLetters {
    const [age, bytes, notifications] = answer as number[];
    const trimmed = { age: age!, bytes: bytes!, notifications: notifications! };
    if (trimmed.age + trimmed.bytes > 0) this.#onTrimmed(trimmed);
    return trimmed;
  }
}
