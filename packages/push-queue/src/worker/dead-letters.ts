import type { JobJson, RedisQueueBackend } from 'bullmq';
import {
  type DeadLetter,
  type DeadLetterName,
  deadLetterRetention,
  type PoisonedLetter,
} from '../dead-letter.ts';
import { appPrefix, deadLetterQueue } from '../redis-keys.ts';
import { encodePushJob } from './decoded-push-job.ts';
import type { HeldJob, TakenJob } from './lane-queue.ts';
import type { Settlement } from './settlement.ts';
import type { WorkerLink } from './worker-link.ts';

/** Job events are nobody's business here, and BullMQ keeps 10,000 per queue by default. */
const maxEvents = 100;

/** Writes the dead letters of one app. The id of a letter is its push job's: written twice, it is there once. */
export class DeadLetters {
  readonly #link: WorkerLink;
  readonly #backend: RedisQueueBackend;

  constructor(link: WorkerLink, app: string) {
    this.#link = link;
    this.#backend = link.queueBackend(deadLetterQueue, appPrefix(link.prefix, app));
  }

  /** Keeps the notifications of a job that ended as dead. Throws `PushQueueError`. */
  async keepDead(job: HeldJob, settlement: Settlement, atMs: number): Promise<void> {
    const reasons: Record<string, string> = {};
    for (const { index, outcome, reason } of settlement.exceptions) {
      if (outcome === 'dead') reasons[index] = reason;
    }
    const data = encodePushJob(settlement.job, settlement.deadPlaces());
    await this.#add(job.id, 'dead', { v: 1, reasons, job: data, atMs });
  }

  /** Keeps the data of a job that cannot be read. Throws `PushQueueError`. */
  async keepPoisoned(job: TakenJob, error: string, atMs: number): Promise<void> {
    await this.#add(`${job.id}-poisoned`, 'poisoned', {
      v: 1,
      error,
      raw: job.data,
      atMs,
    });
  }

  async #add(id: string, name: DeadLetterName, letter: DeadLetter | PoisonedLetter): Promise<void> {
    const { keys } = this.#backend;
    const json: JobJson = {
      id,
      name,
      data: JSON.stringify(letter),
      opts: { jobId: id },
      timestamp: letter.atMs,
      progress: 0,
      attemptsMade: 0,
      attemptsStarted: 0,
      stalledCounter: 0,
      failedReason: '',
      returnvalue: '',
    };
    await this.#link.answer(() => this.#link.client.hset(keys.meta!, 'opts.maxLenEvents', String(maxEvents)));
    await this.#link.answer(() => this.#backend.addJob(json, id));
    await this.#link.run(
      'pushfleetTrimLetters',
      [keys.wait!],
      [keys['']!, deadLetterRetention.count, letter.atMs - deadLetterRetention.ageMs],
    );
  }
}
