import type { JobJson, RedisQueueBackend } from 'bullmq';
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
import {
  appPrefix,
  batchTraceKey,
  cancellationsKey,
  doorbellChannel,
  heldKey,
  outcomesKey,
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
const traceLifeMs = 6 * 3_600_000;

let tokensMade = 0;

/** The queue of one app and lane, as a worker uses it. All methods throw `PushQueueError` while Redis is away. */
export class LaneQueue {
  readonly app: string;
  readonly lane: Lane;
  /** The connection that it goes over. */
  readonly link: WorkerLink;
  readonly #backend: RedisQueueBackend;
  readonly #workerId: string;
  readonly #cancellationsKey: string;

  constructor(link: WorkerLink, workerId: string, app: string, lane: Lane) {
    this.app = app;
    this.lane = lane;
    this.link = link;
    this.#workerId = workerId;
    this.#cancellationsKey = cancellationsKey(link.prefix, app);
    this.#backend = link.queueBackend(lane, appPrefix(link.prefix, app));
  }

  /** Takes the next job, if there is one; promotes delayed ones that are due. */
  async take(): Promise<TakeResult> {
    const token = `${this.#workerId}:${++tokensMade}`;
    const lease = new JobLease(this.link.clock, this.link.lockDurationMs);
    let result: [JobJson | null, string, number, number];
    let mayBeCancelled: number;
    try {
      // The second is answered after the first: what was cancelled before the job was taken is seen.
      const answers = await this.link.answer(() =>
        Promise.all([this.#backend.moveToActive(token), this.link.client.exists(this.#cancellationsKey)]),
      );
      [result, mayBeCancelled] = answers as [typeof result, number];
    } catch (error) {
      if (error instanceof Error && error.cause instanceof SyntaxError)
        return this.#takeUnreadable(token, lease);
      throw error;
    }
    const [job, id, , nextAtMs] = result;
    if (job === null || job === undefined) {
      return { kind: 'empty', nextAtMs: nextAtMs > 0 ? nextAtMs : undefined };
    }
    const progress = pushJobProgressSchema.safeParse(job.progress);
    const availableAtMs = job.timestamp + (job.opts.delay ?? 0);
    return {
      kind: 'taken',
      job: {
        id,
        token,
        lease,
        name: job.name,
        data: job.data,
        progress: progress.success ? progress.data : undefined,
        waits: progress.success ? await this.#readWaits(id) : [],
        availableAtMs,
        timesTaken: job.attemptsStarted ?? 1,
        mayBeCancelled: mayBeCancelled === 1,
        telemetry: job.opts.telemetry?.metadata,
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
    const keys = [
      ...this.#jobKeys(job),
      outcomesKey(prefix, this.app),
      totalsKey(prefix, this.app),
      batchTraceKey(prefix, this.app, report.batch),
      heldKey(prefix, this.app),
    ];
    const args = [
      job.token,
      JSON.stringify(report),
      JSON.stringify({ lane: report.lane, size: report.batchSize }),
      traceLifeMs,
      doorbellChannel(prefix),
      `${this.app}/outcomes`,
      JSON.stringify(endedProgress(report)),
      traceparent ?? '',
      ...totalsOf(report).flatMap(([name, count]) => [`${name}:${this.lane}`, count]),
    ];
    return this.#holding(job, async () => {
      const result = await this.link.run('pushfleetReport', keys, args);
      // Another that had it meanwhile may have reported it.
      return result === 'reported' ? 'done' : result === 'lost' ? 'lost' : 'gone';
    });
  }

  /** What a job was counted as when it was enqueued; undefined: somebody put it there who did not count it. */
  async shareOf(job: HeldJob): Promise<JobShare | undefined> {
    const [key] = this.#jobKeys(job);
    return parseShare(await this.link.answer(() => this.link.client.hget(key, shareField)));
  }

  /** Ends a job that has been reported. When it is ours no more, whoever has it ends it. */
  async finish(job: HeldJob): Promise<LockResult> {
    const minimal = { id: job.id, opts: {} } as Parameters<RedisQueueBackend['moveToCompletedArgs']>[0];
    const args = this.#backend.moveToCompletedArgs(minimal, 'null', true, job.token, false);
    return this.#move(job, 'moveToFinished', args);
  }

  /** Puts a job off, whose progress is written down. When it is ours no more, whoever has it goes on with it. */
  async delay(job: HeldJob, delayMs: number): Promise<LockResult> {
    const args = this.#backend.moveToDelayedArgs(job.id, Date.now(), job.token, Math.max(1, delayMs), {});
    return this.#move(job, 'moveToDelayed', args);
  }

  /** Gives a job back, whose progress is written down: it is the next that anybody takes. */
  async putBack(job: HeldJob): Promise<LockResult> {
    const held = await this.#holding(job, async () => {
      try {
        await this.link.answer(() => this.#backend.moveJobFromActiveToWait(job.id, job.token));
        return 'done';
      } catch (error) {
        const code = bullCode(error);
        if (code === undefined) throw error;
        return heldBy(code);
      }
    });
    await this.link.answer(() =>
      this.link.client.publish(doorbellChannel(this.link.prefix), `${this.app}/${this.lane}`),
    );
    return held;
  }

  /** Renews the locks of jobs; gives the ids of those that are ours no more. */
  async renew(jobs: readonly Pick<HeldJob, 'id' | 'token'>[]): Promise<readonly string[]> {
    const { keys } = this.#backend;
    return (await this.link.run(
      'pushfleetRenew',
      [keys.stalled!, keys.active!],
      [keys['']!, this.link.lockDurationMs, ...jobs.flatMap(({ id, token }) => [id, token])],
    )) as string[];
  }

  /** Has jobs whose worker died wait again. Gives how many. */
  async moveStalled(): Promise<number> {
    return (await this.link.answer(() => this.#backend.moveStalledJobsToWait())).length;
  }

  /** Keys that `peekScript` reads. */
  get peekKeys(): readonly string[] {
    const { keys } = this.#backend;
    return [keys.wait!, keys.delayed!, keys.active!];
  }

  /** What BullMQ cannot read of a job's own fields; the job is in our hands nevertheless. */
  async #takeUnreadable(token: string, lease: JobLease): Promise<TakeResult> {
    const { keys } = this.#backend;
    const found = (await this.link.run('pushfleetFindTaken', [keys.active!], [keys['']!, token])) as
      | [string, string]
      | null;
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

  /** Runs a script of BullMQ's that takes a job out of the active ones. */
  async #move(job: HeldJob, script: string, args: unknown[]): Promise<LockResult> {
    return this.#holding(job, async () => {
      const result = await this.link.runBull(this.#backend, script, args);
      return typeof result === 'number' ? heldBy(result) : 'done';
    });
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
    const results = (await this.link.run(
      'pushfleetCheckpoint',
      checkpoints.flatMap(({ job }) => this.#jobKeys(job)),
      checkpoints.flatMap(({ job, saved: { progress, waits } }) => [
        job.token,
        JSON.stringify(progress),
        waits.length === 0 ? '' : JSON.stringify(waits),
      ]),
    )) as ('kept' | 'lost' | 'gone')[];
    return results.map((result) => (result === 'kept' ? 'done' : result));
  }

  /** BullMQ gives no fields of ours with a job that it takes; only those that were put off have this one. */
  async #readWaits(id: string): Promise<PushJobWaits> {
    const text = await this.link.answer(() =>
      this.link.client.hget(`${this.#backend.keys['']!}${id}`, waitsField),
    );
    if (text === null) return [];
    try {
      const parsed = pushJobWaitsSchema.safeParse(JSON.parse(text));
      return parsed.success ? parsed.data : [];
    } catch {
      return [];
    }
  }

  #jobKeys(job: HeldJob): [string, string] {
    const key = `${this.#backend.keys['']!}${job.id}`;
    return [key, `${key}:lock`];
  }
}

/** What a code of BullMQ's scripts means for us. */
function heldBy(code: number): LockResult {
  // -2: there is no lock, -6: it is another's. The others: the job is gone, or not active; an earlier try, whose answer
  // was lost, has done it.
  return code === -2 || code === -6 ? 'lost' : 'done';
}

function bullCode(error: unknown): number | undefined {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error ? (cause as { code?: unknown }).code : undefined;
  return typeof code === 'number' ? code : undefined;
}
