import type { Lane } from '../lane.ts';
import {
  endedProgress,
  type PushJobProgress,
  type PushJobWaits,
  pushJobProgressSchema,
  pushJobWaitsSchema,
  waitsField,
} from '../push-job/progress.ts';
import { type OutcomeReport, totalsOf } from '../push-job/report.ts';
import { type JobShare, parseShare, shareField } from '../push-job/share.ts';
import type { JobQueue } from '../redis/bullmq.ts';
import {
  batchTraceKey,
  cancellationsKey,
  doorbellChannel,
  heldKey,
  outcomesKey,
  type QueueKeys,
  queueKeys,
  totalsKey,
} from '../redis/keys.ts';
import { JobLease } from './job-lease.ts';
import type { SavedJob } from './settlement.ts';
import type { WorkerLink } from './worker-link.ts';

/** A push job that this worker holds the lock of. */
export interface HeldJob {
  readonly id: string;
  /** Of the lock; another one each time a job is taken. */
  readonly token: string;
  /** Until when it is ours, renewals included. */
  readonly lease: JobLease;
  readonly name: string;
  readonly progress: PushJobProgress | undefined;
  /** What of it is not due yet. */
  readonly waits: PushJobWaits;
  /** When it could first be taken: when it was enqueued, or the time it was scheduled for. Epoch milliseconds. */
  readonly availableAtMs: number;
  /** Times it has been taken, this one included. */
  readonly timesTaken: number;
  /** Something of the app is cancelled, and it may be of this job. */
  readonly mayBeCancelled: boolean;
  /** Trace contexts of its callers, as `parseTraceparents` reads them. */
  readonly telemetry: string | undefined;
}

export interface TakenJob extends HeldJob {
  /** As it lies in Redis: tens of kilobytes, not to be kept longer than it takes to read them. */
  readonly data: string;
}

export type TakeResult =
  | { readonly kind: 'taken'; readonly job: TakenJob }
  /** `nextAtMs`: when the first of the delayed jobs is due. */
  | { readonly kind: 'empty'; readonly nextAtMs: number | undefined };

/**
 * What became of something that only the holder of the lock may do. `lost`: another worker has it. `gone`: it has ended
 * already.
 */
export type LockResult = 'done' | 'lost' | 'gone';

/** How far a job has come, to be written down. */
export interface JobCheckpoint {
  readonly job: HeldJob;
  readonly saved: SavedJob;
}

/** How long a batch is remembered after a report, for those who ask before the report is in Postgres. */
const endedBatchLifeMs = 6 * 3_600_000;

let tokensMade = 0;

/** The queue of one app and lane, as a worker uses it. All methods throw `PushQueueError` while Redis is away. */
export class LaneQueue {
  readonly app: string;
  readonly lane: Lane;
  /** The connection that it goes over. */
  readonly link: WorkerLink;
  readonly keys: QueueKeys;
  readonly #jobs: JobQueue;
  readonly #workerId: string;
  readonly #cancellationsKey: string;

  constructor(link: WorkerLink, workerId: string, app: string, lane: Lane) {
    this.app = app;
    this.lane = lane;
    this.link = link;
    this.#workerId = workerId;
    this.#cancellationsKey = cancellationsKey(link.prefix, app);
    this.keys = queueKeys(link.prefix, app, lane);
    this.#jobs = link.queue(app, lane);
  }

  /** Takes the next job, if there is one; promotes delayed ones that are due. */
  async take(): Promise<TakeResult> {
    const token = `${this.#workerId}:${++tokensMade}`;
    const lease = new JobLease(this.link.clock, this.link.lockDurationMs);
    // The second is answered after the first: what was cancelled before the job was taken is seen.
    const [taken, mayBeCancelled] = await this.link.answer(() =>
      Promise.all([this.#jobs.take(token), this.link.client.exists(this.#cancellationsKey)]),
    );
    if (taken.kind === 'unreadable') return this.#takeUnreadable(token, lease);
    if (taken.kind === 'empty') return taken;
    const progress = pushJobProgressSchema.safeParse(taken.job.progress);
    return {
      kind: 'taken',
      job: {
        ...taken.job,
        token,
        lease,
        progress: progress.success ? progress.data : undefined,
        waits: progress.success ? await this.#readWaits(taken.job.id) : [],
        mayBeCancelled: mayBeCancelled === 1,
      },
    };
  }

  /** Writes down what has settled of jobs, so that a crash repeats less. Gives what became of each. */
  async checkpoint(checkpoints: readonly JobCheckpoint[]): Promise<readonly LockResult[]> {
    const held = await this.#checkpoint(checkpoints);
    const retaken = await this.#retake(checkpoints.filter((_, at) => held[at] === 'lost'));
    if (retaken.length === 0) return held;
    const again = await this.#checkpoint(retaken);
    return held.map((one, at) => again[retaken.indexOf(checkpoints[at]!)] ?? one);
  }

  /**
   * Says what became of a push job: once, however often it is called and by however many workers.
   * @param traceparent Of the span that ends with the report.
   */
  async report(job: HeldJob, report: OutcomeReport, traceparent?: string): Promise<LockResult> {
    const { prefix } = this.link;
    const keys = {
      ...this.#jobKeys(job),
      outcomes: outcomesKey(prefix, this.app),
      totals: totalsKey(prefix, this.app),
      endedBatch: batchTraceKey(prefix, this.app, report.batch),
      counts: heldKey(prefix, this.app),
    };
    const args = {
      token: job.token,
      report: JSON.stringify(report),
      batch: JSON.stringify({ lane: report.lane, size: report.batchSize }),
      batchLifeMs: endedBatchLifeMs,
      channel: doorbellChannel(prefix),
      message: `${this.app}/outcomes`,
      progress: JSON.stringify(endedProgress(report)),
      traceparent: traceparent ?? '',
      rises: totalsOf(report).flatMap(([name, count]) => [`${name}:${this.lane}`, count]),
    };
    return this.#holding(job, async () => {
      const result = await this.link.run('report', keys, args);
      // Another that had it meanwhile may have reported it.
      return result === 'reported' ? 'done' : result === 'lost' ? 'lost' : 'gone';
    });
  }

  /** What a job was counted as when it was enqueued; undefined: somebody put it there who did not count it. */
  async shareOf(job: HeldJob): Promise<JobShare | undefined> {
    const { job: key } = this.#jobKeys(job);
    return parseShare(await this.link.answer(() => this.link.client.hget(key, shareField)));
  }

  /** Ends a job that has been reported. When it is ours no more, whoever has it ends it. */
  async finish(job: HeldJob): Promise<LockResult> {
    return this.#move(job, () => this.#jobs.finish(job.id, job.token));
  }

  /** Puts a job off, whose progress is written down. When it is ours no more, whoever has it goes on with it. */
  async delay(job: HeldJob, delayMs: number): Promise<LockResult> {
    return this.#move(job, () => this.#jobs.delay(job.id, job.token, delayMs));
  }

  /** Gives a job back, whose progress is written down: it is the next that anybody takes. */
  async putBack(job: HeldJob): Promise<LockResult> {
    const held = await this.#move(job, () => this.#jobs.putBack(job.id, job.token));
    await this.link.answer(() =>
      this.link.client.publish(doorbellChannel(this.link.prefix), `${this.app}/${this.lane}`),
    );
    return held;
  }

  /** Renews the locks of jobs; gives the ids of those that are ours no more. */
  async renew(jobs: readonly Pick<HeldJob, 'id' | 'token'>[]): Promise<readonly string[]> {
    const { stalled, active, base } = this.keys;
    const args = {
      base,
      durationMs: this.link.lockDurationMs,
      jobs: jobs.flatMap(({ id, token }) => [id, token]),
    };
    return (await this.link.run('renew', { stalled, active }, args)) as string[];
  }

  /** Has jobs whose worker died wait again. Gives how many. */
  async moveStalled(): Promise<number> {
    return this.link.answer(() => this.#jobs.moveStalled());
  }

  /** What BullMQ cannot read of a job's own fields; the job is in our hands nevertheless. */
  async #takeUnreadable(token: string, lease: JobLease): Promise<TakeResult> {
    const { active, base } = this.keys;
    const answer = await this.link.run('find-taken', { active }, { base, token });
    const found = answer as [id: string, data: string] | null;
    if (found === null) return { kind: 'empty', nextAtMs: undefined };
    const [id, data] = found;
    const job = {
      id,
      token,
      lease,
      name: 'unreadable',
      data,
      progress: undefined,
      waits: [],
      availableAtMs: Date.now(),
      timesTaken: 1,
      mayBeCancelled: false,
      telemetry: undefined,
    };
    return { kind: 'taken', job };
  }

  /** Takes a job out of the active ones. */
  async #move(job: HeldJob, move: () => Promise<LockResult>): Promise<LockResult> {
    return this.#holding(job, () => this.link.answer(move));
  }

  async #holding(job: HeldJob, attempt: () => Promise<LockResult>): Promise<LockResult> {
    const held = await attempt();
    if (held !== 'lost' || (await this.#retake([{ job }])).length === 0) return held;
    return attempt();
  }

  /** A lock that ran out, and that nobody else has taken, is taken again. Gives those of which that could be done. */
  async #retake<T extends { readonly job: HeldJob }>(lost: readonly T[]): Promise<readonly T[]> {
    if (lost.length === 0) return lost;
    const gone = await this.renew(lost.map(({ job }) => job));
    return lost.filter(({ job }) => !gone.includes(job.id));
  }

  async #checkpoint(checkpoints: readonly JobCheckpoint[]): Promise<readonly LockResult[]> {
    const states = checkpoints.flatMap(({ job, saved: { progress, waits } }) => [
      job.token,
      JSON.stringify(progress),
      waits.length === 0 ? '' : JSON.stringify(waits),
    ]);
    const jobs = checkpoints.flatMap((checkpoint) => Object.values(this.#jobKeys(checkpoint.job)));
    const answer = await this.link.run('checkpoint', { jobs }, { states });
    const results = answer as ('kept' | 'lost' | 'gone')[];
    return results.map((result) => (result === 'kept' ? 'done' : result));
  }

  /** BullMQ gives no fields of ours with a job that it takes; only those that were put off have this one. */
  async #readWaits(id: string): Promise<PushJobWaits> {
    const text = await this.link.answer(() => this.link.client.hget(this.keys.base + id, waitsField));
    if (text === null) return [];
    try {
      const parsed = pushJobWaitsSchema.safeParse(JSON.parse(text));
      return parsed.success ? parsed.data : [];
    } catch {
      return [];
    }
  }

  #jobKeys({ id }: HeldJob): { readonly job: string; readonly lock: string } {
    const job = this.keys.base + id;
    return { job, lock: `${job}:lock` };
  }
}
