import type { OutcomeException, OutcomeReport, PushJobProgress } from '../push-job.ts';
import type { DecodedPushJob } from './decoded-push-job.ts';
import { JobExceptions, type Refusal } from './job-exceptions.ts';
import { describeRemaining, readRemaining } from './remaining.ts';

// What is known of every notification of one push job, in one byte each. Pure bookkeeping: no I/O, no clock.
//
// Terminology: a place is a position in the job, from 0. A try hands some places over as a run; the transport speaks
// of them by position in the run. Every place handed over gets one verdict; the try ends with the last.

export interface RetryPolicy {
  /** Tries of a notification before it is dead. */
  readonly attempts: number;
  readonly onUncertain: 'resend' | 'drop';
}

/** How a try ended. */
export interface TryEnd {
  /** Notifications still to settle. */
  readonly left: number;
  /** The most tries that any of them has had; 0: nothing was held against any. */
  readonly tries: number;
  /** The longest wait that the gateway asked for, milliseconds. */
  readonly retryAfterMs: number;
  /** How many are tried again although, or because, they were tried. */
  readonly retried: number;
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

export const uncertainReason = 'uncertain';

export class Settlement {
  readonly job: DecodedPushJob;
  readonly #state: Uint8Array;
  readonly #tries: Uint8Array;
  readonly #exceptions: JobExceptions;
  /** Answers to retryable places of this try. */
  readonly #answers = new Map<number, Refusal>();
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

  /** @param progress What has settled before, by a worker that crashed or stopped, or in an earlier try. */
  constructor(job: DecodedPushJob, progress?: PushJobProgress) {
    this.job = job;
    this.#state = new Uint8Array(job.count);
    this.#tries = new Uint8Array(job.count);
    this.#exceptions = new JobExceptions(job, progress?.exceptions ?? []);
    this.#left = job.count;
    if (progress !== undefined) this.#resume(progress);
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

  /** Places without an outcome, ascending; undefined: all of the job. */
  placesLeft(): Uint16Array | undefined {
    if (this.#left === this.job.count) return undefined;
    const places = new Uint16Array(this.#left);
    let at = 0;
    for (let place = 0; place < this.job.count; place++) {
      if (this.#state[place]! < State.accepted) places[at++] = place;
    }
    return places;
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

  /** Marks what is left as handed over, in the order of `placesLeft`. */
  handOver(places: Uint16Array | undefined): void {
    this.#places = places;
    this.#outstanding = this.#left;
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

  reject(position: number, answer: Refusal, atMs: number): void {
    if (this.#verdicts(position, position + 1, State.excepted) === 0) return;
    this.#except(this.placeOf(position), 'rejected', answer, atMs);
  }

  expire(from: number, to: number, atMs: number): void {
    for (let position = from; position < to; position++) {
      if (this.#verdicts(position, position + 1, State.excepted) === 0) continue;
      this.#except(this.placeOf(position), 'expired', { reason: 'expired', tokenInvalid: false }, atMs);
    }
  }

  retry(position: number, answer: Refusal): void {
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
      this.#except(place, outcome, { reason, tokenInvalid: false }, atMs);
      ended++;
    }
    return ended;
  }

  /** Decides what becomes of what the try left. Nothing may be outstanding. */
  endTry(policy: RetryPolicy, atMs: number): TryEnd {
    let tries = 0;
    let retryAfterMs = 0;
    let retried = 0;
    for (let place = 0; place < this.job.count; place++) {
      const state = this.#state[place] as State;
      if (state >= State.accepted) continue;
      this.#state[place] = State.left;
      if (state !== State.uncertain && state !== State.retryable) continue;
      const answer = state === State.uncertain ? lost : this.#answers.get(place)!;
      this.#tries[place]!++;
      const used = this.#tries[place]! >= policy.attempts;
      if (used || (state === State.uncertain && policy.onUncertain === 'drop')) {
        this.#state[place] = State.excepted;
        this.#except(place, 'dead', answer, atMs);
        continue;
      }
      if (state === State.uncertain) this.#resentUncertain++;
      retried++;
      tries = Math.max(tries, this.#tries[place]!);
      retryAfterMs = Math.max(retryAfterMs, answer.retryAfterMs ?? 0);
    }
    this.#answers.clear();
    this.#isHandedOver = false;
    if (retried > 0) this.#attempt++;
    this.#changes++;
    return { left: this.#left, tries, retryAfterMs, retried };
  }

  /** Places that ended as dead, ascending. */
  deadPlaces(): Uint16Array {
    return this.#exceptions.deadPlaces();
  }

  progress(): PushJobProgress {
    return {
      v: 1,
      attempt: this.#attempt,
      ...describeRemaining(this.job.indexes, (place) => this.#state[place]! < State.accepted, this.#tries),
      accepted: this.accepted,
      exceptions: this.#exceptions.all,
      resentUncertain: this.#resentUncertain,
      ...(this.#firstWrittenAtMs === undefined ? {} : { firstWrittenAtMs: this.#firstWrittenAtMs }),
      ...(this.#isHandedOver && this.#left > 0 ? { handedOver: true } : {}),
    };
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
    return {
      v: 1,
      job: job.id,
      app,
      lane,
      batch,
      batchSize,
      firstIndex: job.firstIndex,
      count,
      enqueuedAtMs,
      settledAtMs: atMs,
      accepted: this.accepted,
      exceptions: this.#exceptions.all,
      resentUncertain: this.#resentUncertain,
    };
  }

  #resume(progress: PushJobProgress): void {
    this.#state.fill(State.earlier);
    this.#left = 0;
    readRemaining(progress, this.job.indexes, (place, tried) => {
      this.#state[place] = State.left;
      this.#tries[place] = tried;
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

  #except(place: number, outcome: OutcomeException['outcome'], answer: Refusal, atMs: number): void {
    this.#left--;
    this.#changes++;
    this.#exceptions.add(place, outcome, answer, atMs);
  }
}

const lost: Refusal = { reason: uncertainReason, tokenInvalid: false };
