import type { DecodedPushJob } from '../push-job/decode.ts';
import type { PushJobProgress, PushJobWaits } from '../push-job/progress.ts';
import { createReport, type OutcomeException, type OutcomeReport } from '../push-job/report.ts';
import type { SettledOutcome } from '../settled-outcome.ts';
import { type EndCause, JobExceptions } from './job-exceptions.ts';
import { lost, Retries, type RetryPolicy, type Verdict } from './retries.ts';

// What is known of every notification of one push job, in one byte each. Pure bookkeeping: no I/O, no clock.
//
// Terminology: a place is a position in the job, from 0. A try hands some places over as a run; the transport speaks
// of them by position in the run. Every place handed over gets one verdict; the try ends with the last.

/** How a try ended. */
export interface TryEnd {
  /** Notifications still to settle. */
  readonly left: number;
  /** How many are tried again although, or because, they were tried. */
  readonly retried: number;
}

/** Notifications by how they ended. */
export type SettledCounts = Readonly<Record<SettledOutcome, number>>;

/** What Redis keeps of a job that has not ended. */
export interface SavedJob {
  readonly progress: PushJobProgress;
  readonly waits: PushJobWaits;
}

const State = {
  left: 0,
  handed: 1,
  unprocessed: 2,
  uncertain: 3,
  retryable: 4,
  // From here on: settled.
  accepted: 5,
  excepted: 6,
  earlier: 7,
} as const;
type State = (typeof State)[keyof typeof State];

export class Settlement {
  readonly job: DecodedPushJob;
  readonly #state: Uint8Array;
  readonly #retries: Retries;
  readonly #exceptions: JobExceptions;
  /** Answers to retryable places of this try. */
  readonly #answers = new Map<number, EndCause>();
  /** Places of the run by position; undefined: the run is the whole job. */
  #places: Uint16Array | undefined;
  #outstanding = 0;
  #left = 0;
  #attempt = 0;
  #proved = 0;
  #presumed = 0;
  #resentUncertain = 0;
  #firstWrittenAtMs: number | undefined;
  #isHandedOver = false;
  #changes = 0;

  /**
   * @param progress What has settled before, by a worker that crashed or stopped, or in an earlier try.
   * @param waits What of the rest is not due yet.
   */
  constructor(job: DecodedPushJob, progress?: PushJobProgress, waits: PushJobWaits = []) {
    this.job = job;
    this.#state = new Uint8Array(job.count);
    this.#retries = new Retries(job);
    this.#exceptions = new JobExceptions(job, progress?.exceptions ?? []);
    this.#left = job.count;
    if (progress !== undefined) this.#resume(progress, waits);
  }

  /** Notifications without a final outcome. */
  get left(): number {
    return this.#left;
  }

  /** Handed over and without a verdict. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Rises with everything that a checkpoint would hold. */
  get changes(): number {
    return this.#changes;
  }

  get exceptions(): readonly OutcomeException[] {
    return this.#exceptions.all;
  }

  get accepted(): { readonly proved: number; readonly presumed: number } {
    return { proved: this.#proved, presumed: this.#presumed };
  }

  /** What has ended so far. */
  settled(): SettledCounts {
    const { proved, presumed } = this.accepted;
    return { 'accepted-proved': proved, 'accepted-presumed': presumed, ...this.#exceptions.count() };
  }

  /** When the first of what is left may be tried, epoch milliseconds; 0: there is something that does not wait. */
  dueAtMs(): number {
    if (this.#retries.isEmpty) return 0;
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.job.count; place++) {
      if (this.#state[place] === State.left) dueAtMs = Math.min(dueAtMs, this.#retries.dueAtMs(place));
    }
    return dueAtMs;
  }

  /** Whether a place may be tried now. */
  isDue(place: number, nowMs: number): boolean {
    return this.#retries.dueAtMs(place) <= nowMs;
  }

  /** Places to try now, ascending, `most` of them: those that have been tried least; undefined: all of the job. */
  placesDue(nowMs: number, most = Number.POSITIVE_INFINITY): Uint16Array | undefined {
    if (this.#left === this.job.count && this.#retries.isEmpty && most >= this.#left) return undefined;
    let places: number[] = [];
    for (let place = 0; place < this.job.count; place++) {
      if (this.#state[place] === State.left && this.isDue(place, nowMs)) places.push(place);
    }
    if (places.length > most) {
      // A probe that ends in doubt may have arrived: the next one is spent on a notification that has been tried less.
      places.sort((one, other) => this.#retries.timesTried(one) - this.#retries.timesTried(other));
      places = places.slice(0, most).sort((one, other) => one - other);
    }
    return places.length === this.job.count ? undefined : Uint16Array.from(places);
  }

  /** From now until the try ends, progress says that what remains may be with the gateway. */
  announceHandover(): void {
    this.#isHandedOver = true;
    this.#changes++;
  }

  /** It was not handed over after all. */
  withdrawHandover(): void {
    this.#isHandedOver = false;
  }

  /** Marks places as handed over, as `placesDue` gave them. */
  handOver(places: Uint16Array | undefined): void {
    this.#places = places;
    this.#outstanding = places?.length ?? this.job.count;
    if (places === undefined) this.#state.fill(State.handed);
    else for (const place of places) this.#state[place] = State.handed;
  }

  /** The place of a position of the run. */
  placeOf(position: number): number {
    return this.#places === undefined ? position : this.#places[position]!;
  }

  written(atMs: number): void {
    this.#firstWrittenAtMs ??= atMs;
  }

  get firstWrittenAtMs(): number | undefined {
    return this.#firstWrittenAtMs;
  }

  /** Gives how many settled. */
  accept(from: number, to: number, certainty: 'proved' | 'presumed'): number {
    const settled = this.#verdicts(from, to, State.accepted);
    this.#left -= settled;
    this.#changes += settled;
    if (certainty === 'proved') this.#proved += settled;
    else this.#presumed += settled;
    return settled;
  }

  reject(position: number, answer: EndCause, atMs: number): void {
    if (this.#verdicts(position, position + 1, State.excepted) === 0) return;
    this.#except(this.placeOf(position), 'rejected', answer, atMs);
  }

  expire(from: number, to: number, atMs: number): void {
    for (let position = from; position < to; position++) {
      if (this.#verdicts(position, position + 1, State.excepted) === 0) continue;
      this.#except(this.placeOf(position), 'expired', { reason: 'expired' }, atMs);
    }
  }

  retry(position: number, answer: EndCause): void {
    if (this.#verdicts(position, position + 1, State.retryable) === 0) return;
    this.#answers.set(this.placeOf(position), answer);
  }

  uncertain(from: number, to: number): void {
    this.#verdicts(from, to, State.uncertain);
  }

  unprocessed(from: number, to: number): void {
    this.#verdicts(from, to, State.unprocessed);
  }

  /** Ends places that are left and not handed over. Gives how many. */
  endPlaces(
    outcome: 'rejected' | 'cancelled' | 'dead',
    reason: string,
    atMs: number,
    isMeant: (place: number) => boolean,
  ): number {
    let ended = 0;
    for (let place = 0; place < this.job.count; place++) {
      if (this.#state[place] !== State.left || !isMeant(place)) continue;
      this.#state[place] = State.excepted;
      this.#except(place, outcome, { reason }, atMs);
      ended++;
    }
    return ended;
  }

  /** The transport sends so many again by itself, although the gateway may have had them. */
  resent(notifications: number): void {
    this.#resentUncertain += notifications;
    this.#changes++;
  }

  /** Ends what has waited for another try until it is too late for one. */
  expireOverdue(retryForMs: number, nowMs: number): void {
    if (this.#retries.isEmpty) return;
    for (let place = 0; place < this.job.count; place++) {
      if (this.#state[place] !== State.left) continue;
      this.#end(place, this.#retries.overdue(place, retryForMs, nowMs), nowMs);
    }
  }

  /** Decides what becomes of what the try left. Nothing may be outstanding. */
  endTry(policy: RetryPolicy, nowMs: number): TryEnd {
    let retried = 0;
    for (let place = 0; place < this.job.count; place++) {
      const state = this.#state[place] as State;
      if (state >= State.accepted) continue;
      this.#state[place] = State.left;
      if (state !== State.uncertain && state !== State.retryable) continue;
      const answer = state === State.uncertain ? lost : this.#answers.get(place)!;
      const verdict = this.#retries.failed(place, answer, policy, nowMs);
      this.#end(place, verdict, nowMs);
      if (verdict !== undefined) continue;
      retried++;
      if (answer === lost) this.#resentUncertain++;
    }
    this.#answers.clear();
    this.#isHandedOver = false;
    if (retried > 0) this.#attempt++;
    this.#changes++;
    return { left: this.#left, retried };
  }

  /** Places that ended as dead, ascending. */
  deadPlaces(): Uint16Array {
    return this.#exceptions.deadPlaces();
  }

  progress(): PushJobProgress {
    return {
      v: 1,
      attempt: this.#attempt,
      ...this.#retries.describe((place) => this.#state[place]! < State.accepted),
      accepted: this.accepted,
      exceptions: this.#exceptions.all,
      resentUncertain: this.#resentUncertain,
      ...(this.#firstWrittenAtMs === undefined ? {} : { firstWrittenAtMs: this.#firstWrittenAtMs }),
      ...(this.#isHandedOver && this.#left > 0 ? { handedOver: true } : {}),
    };
  }

  /** What Redis is to keep of the job now. */
  saved(): SavedJob {
    const isLeft = (place: number) => this.#state[place]! < State.accepted;
    return { progress: this.progress(), waits: this.#retries.describeWaits(isLeft) };
  }

  /**
   * From now on, and for what has been rejected already, the gateway's word about tokens is not held against devices:
   * too many are called invalid for all of them to be.
   */
  withholdEvidence(): void {
    this.#exceptions.withholdEvidence();
    this.#changes++;
  }

  /** What is to be said of the finished job; nothing may be left. */
  report(job: { readonly id: string; readonly firstIndex: number }, atMs: number): OutcomeReport {
    const { app, lane, batch, batchSize, enqueuedAtMs, count } = this.job;
    const { id, firstIndex } = job;
    const reported = { id, app, lane, batch, batchSize, firstIndex, count, enqueuedAtMs };
    const resentUncertain = this.#resentUncertain;
    return createReport(
      reported,
      { accepted: this.accepted, exceptions: this.#exceptions.all, resentUncertain },
      atMs,
    );
  }

  #resume(progress: PushJobProgress, waits: PushJobWaits): void {
    this.#state.fill(State.earlier);
    this.#left = 0;
    this.#retries.resume(progress, waits, (place) => {
      this.#state[place] = State.left;
      this.#left++;
    });
    this.#attempt = progress.attempt;
    this.#proved = progress.accepted.proved;
    this.#presumed = progress.accepted.presumed;
    this.#resentUncertain = progress.resentUncertain;
    this.#firstWrittenAtMs = progress.firstWrittenAtMs;
  }

  /** Gives how many of the range were outstanding; a second verdict changes nothing. */
  #verdicts(from: number, to: number, state: State): number {
    const states = this.#state;
    const places = this.#places;
    let changed = 0;
    for (let position = from; position < to; position++) {
      const place = places === undefined ? position : places[position]!;
      if (states[place] !== State.handed) continue;
      states[place] = state;
      changed++;
    }
    this.#outstanding -= changed;
    return changed;
  }

  #end(place: number, verdict: Verdict, atMs: number): void {
    if (verdict === undefined) return;
    this.#state[place] = State.excepted;
    this.#except(place, verdict.outcome, verdict.answer, atMs);
  }

  #except(place: number, outcome: OutcomeException['outcome'], answer: EndCause, atMs: number): void {
    this.#left--;
    this.#changes++;
    this.#exceptions.add(place, outcome, answer, atMs);
  }
}
