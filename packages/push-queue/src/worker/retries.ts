import type { DecodedPushJob } from '../push-job/decode.ts';
import {
  describeRemaining,
  type PushJobProgress,
  type PushJobWaits,
  readRemaining,
} from '../push-job/progress.ts';
import type { EndCause } from './job-exceptions.ts';

// How often the notifications of one push job were tried, when they are tried again, and until when.

/** What a notification is tried again for. */
export type RetryKind = 'notification' | 'gateway' | 'uncertain';

export interface RetryPolicy {
  /** Tries of a notification, for faults that may be its own, before it is dead. */
  readonly attempts: number;
  readonly onUncertain: 'resend' | 'drop';
  /** How long a notification is tried again for faults that are not its own, milliseconds. */
  readonly retryForMs: number;
  /** False: errors are the rule now, so that an answer about one notification is not held against it either. */
  readonly countTries: boolean;
  /** How long to wait before the next try, milliseconds. @param times How often it has failed so, from 1. */
  readonly waitMs: (kind: RetryKind, times: number) => number;
}

/** What a notification that was tried waits for. */
interface Wait {
  /** Tries that were not held against it. */
  readonly retries: number;
  /** When its first try failed, epoch milliseconds: its period of retrying counts from here. */
  readonly sinceMs: number;
  /** When it is tried again, epoch milliseconds. */
  readonly dueAtMs: number;
}

/** What becomes of a notification that failed; undefined: it is tried again. */
export type Verdict = { readonly outcome: 'dead' | 'expired'; readonly answer: EndCause } | undefined;

export const uncertainReason = 'uncertain';
/** The connection ended under it, and there is no answer. */
export const lost: EndCause = { reason: uncertainReason };

/** How long a notification with expiration 0, which is for now or never, is tried again, milliseconds. */
const nowOrNeverMs = 60_000;

export class Retries {
  readonly #job: DecodedPushJob;
  /** Tries that were held against it, by place. */
  readonly #tries: Uint8Array;
  /** By place. Those of one history share one object, which keeps what is written down of them short. */
  readonly #waits = new Map<number, Wait>();
  #latest: Wait | undefined;

  constructor(job: DecodedPushJob) {
    this.#job = job;
    this.#tries = new Uint8Array(job.count);
  }

  /** Takes up what earlier tries have left. Calls `found` for each place that is left, ascending. */
  resume(progress: PushJobProgress, waits: PushJobWaits, found: (place: number) => void): void {
    let range = 0;
    readRemaining(progress, this.#job.indexes, (place, tried) => {
      this.#tries[place] = tried;
      found(place);
      const index = this.#job.indexes[place]!;
      while (range < waits.length && waits[range]![1] <= index) range++;
      const [from = Number.POSITIVE_INFINITY, , retries = 0, sinceMs = 0, dueAtMs = 0] = waits[range] ?? [];
      if (from <= index) this.#wait(place, { retries, sinceMs, dueAtMs });
    });
  }

  /** Nothing waits. */
  get isEmpty(): boolean {
    return this.#waits.size === 0;
  }

  /** When a place may be tried, epoch milliseconds; 0: at any time. */
  dueAtMs(place: number): number {
    return this.#waits.get(place)?.dueAtMs ?? 0;
  }

  /** How often a place has been tried, whether or not a try was held against it. */
  timesTried(place: number): number {
    return this.#tries[place]! + (this.#waits.get(place)?.retries ?? 0);
  }

  /** A try of a place has failed. */
  failed(place: number, answer: EndCause, policy: RetryPolicy, nowMs: number): Verdict {
    const isCounted = answer.fault === 'notification' && policy.countTries;
    if (isCounted && ++this.#tries[place]! >= policy.attempts) return { outcome: 'dead', answer };
    if (answer === lost && policy.onUncertain === 'drop') return { outcome: 'dead', answer };
    const { retries: before = 0, sinceMs = nowMs } = this.#waits.get(place) ?? {};
    const end = this.#end(place, sinceMs, policy.retryForMs);
    if (end.atMs <= nowMs) return expired(end.reason);
    const retries = isCounted ? before : before + 1;
    const waitMs = isCounted
      ? policy.waitMs('notification', this.#tries[place]!)
      : policy.waitMs(answer === lost ? 'uncertain' : 'gateway', retries);
    // It ends when it is too late for another try, and not before.
    const dueAtMs = Math.min(nowMs + Math.ceil(Math.max(waitMs, answer.retryAfterMs ?? 0)), end.atMs);
    this.#wait(place, { retries, sinceMs, dueAtMs });
    return undefined;
  }

  /** What becomes of a place that has waited, if it is too late for another try. */
  overdue(place: number, retryForMs: number, nowMs: number): Verdict {
    const wait = this.#waits.get(place);
    if (wait === undefined) return undefined;
    const end = this.#end(place, wait.sinceMs, retryForMs);
    return end.atMs <= nowMs ? expired(end.reason) : undefined;
  }

  /** What is left, and how often it was tried. @param isLeft By place. */
  describe(isLeft: (place: number) => boolean): Pick<PushJobProgress, 'remaining' | 'tries'> {
    return describeRemaining(this.#job.indexes, isLeft, this.#tries);
  }

  /** @param isLeft By place. */
  describeWaits(isLeft: (place: number) => boolean): PushJobWaits {
    const ranges: PushJobWaits = [];
    if (this.isEmpty) return ranges;
    const { indexes, count } = this.#job;
    let before: Wait | undefined;
    for (let place = 0; place < count; place++) {
      const wait = isLeft(place) ? this.#waits.get(place) : undefined;
      if (wait === undefined) continue;
      const index = indexes[place]!;
      const last = ranges.at(-1);
      if (last?.[1] === index && wait === before) last[1]++;
      else ranges.push([index, index + 1, wait.retries, wait.sinceMs, wait.dueAtMs]);
      before = wait;
    }
    return ranges;
  }

  #wait(place: number, wait: Wait): void {
    const { retries, sinceMs, dueAtMs } = this.#latest ?? {};
    const isSame = retries === wait.retries && sinceMs === wait.sinceMs && dueAtMs === wait.dueAtMs;
    if (!isSame) this.#latest = wait;
    this.#waits.set(place, this.#latest!);
  }

  /** When a notification is given up, epoch milliseconds, and why then. */
  #end(
    place: number,
    sinceMs: number,
    retryForMs: number,
  ): { readonly atMs: number; readonly reason: string } {
    const expiration = this.#job.columns.expirations[place]!;
    const expiresAtMs = expiration === 0 ? sinceMs + nowOrNeverMs : expiration * 1_000;
    const periodEndMs = sinceMs + retryForMs;
    if (expiresAtMs < periodEndMs) return { atMs: expiresAtMs, reason: 'expired' };
    return { atMs: periodEndMs, reason: 'retry-period-over' };
  }
}

function expired(reason: string): Verdict {
  return { outcome: 'expired', answer: { reason } };
}
