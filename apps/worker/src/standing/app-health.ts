import { type AppSlowed, type SlowCause, slowCauses } from '@pushfleet/push-queue';
import { SlidingSums } from './sliding-sums.ts';

// Whether the gateway serves an app, by what becomes of its notifications. When trouble is the rule, more of them only
// make it worse: the app is slowed. Then one probe at a time is sent, and what succeeds lets ten times as many follow.
//
// Terminology:
// - good: the gateway decided, it accepted or rejected. Trouble: an answer after which a notification is tried again, or
//   a notification that is uncertain. Anything else, such as what was never written, is neither.
// - probe: some notifications that are handed over while the app is slowed.
// - allowance: how many a probe may be.
//
// Pure: no I/O and no timers; time is handed in (docs/decisions/0024-slowed-apps.md).

/** Milliseconds. What is older says nothing of now. */
const windowMs = 10_000;
/** Notifications in the window before their share counts. */
const minimum = 20;
/** Share of trouble that makes it the rule. */
const rule = 0.5;
/** Until the first probe, and the most between two, milliseconds. */
const interval = { firstMs: 1_000, mostMs: 30_000, factor: 2 };
/** How the allowance grows, and the last one before there is none. */
const growth = { factor: 10, most: 1_000 };
/** The longest that a gateway's own wish to be left alone is heeded, milliseconds. */
const longestRetryAfterMs = 15 * 60_000;
/** An app that was well for so long begins with the first interval again. */
const wellForMs = 60_000;
/** Without anything to probe with, what was says nothing of now. */
const forgetAfterMs = 60_000;

/** What one probe has brought so far. */
interface Probe {
  good: number;
  trouble: number;
  retryAfterMs: number;
}

export class AppHealth {
  readonly #sums = new SlidingSums({ kinds: ['good', ...slowCauses], windowMs, parts: 10 });
  readonly #random: () => number;
  #slowed: AppSlowed | undefined;
  #probe: Probe | undefined;
  #allowance = 1;
  #intervalMs = interval.firstMs;
  #nextProbeMs = 0;
  #freedAtMs = Number.NEGATIVE_INFINITY;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Undefined: the app is not slowed. */
  get slowed(): AppSlowed | undefined {
    return this.#slowed;
  }

  /** Notifications that the next probe may be. */
  get allowance(): number {
    return this.#allowance;
  }

  /** Whether it is time for a probe, and none is out. */
  isProbeDue(nowMs: number): boolean {
    return this.#slowed !== undefined && this.#probe === undefined && nowMs >= this.#nextProbeMs;
  }

  /** The gateway decided about so many notifications. */
  recordGood(notifications: number, nowMs: number): void {
    if (this.#probe !== undefined) this.#probe.good += notifications;
    else if (this.#slowed === undefined) this.#sums.add('good', notifications, nowMs);
  }

  /**
   * So many notifications met with trouble that is not theirs. `epochMs`: what the system's clock says, for people.
   * @param retryAfterMs How long the gateway asks to be left alone.
   */
  recordTrouble(
    cause: SlowCause,
    notifications: number,
    nowMs: number,
    epochMs: number,
    retryAfterMs = 0,
  ): void {
    if (this.#probe !== undefined) {
      this.#probe.trouble += notifications;
      this.#probe.retryAfterMs = Math.max(this.#probe.retryAfterMs, retryAfterMs);
    } else if (this.#slowed === undefined) {
      this.#sums.add(cause, notifications, nowMs);
      this.#judge(nowMs, epochMs, retryAfterMs);
    }
  }

  /** A probe is handed over: what is recorded from now on is counted for it. */
  beginProbe(): void {
    this.#probe = { good: 0, trouble: 0, retryAfterMs: 0 };
  }

  /** Everything of the probe has come back. */
  endProbe(nowMs: number): void {
    const probe = this.#probe;
    if (probe === undefined) return;
    this.#probe = undefined;
    const { good, trouble, retryAfterMs } = probe;
    if (trouble > 0 && trouble >= rule * (good + trouble)) {
      this.#allowance = 1;
      this.#waitLonger(nowMs, retryAfterMs);
    } else if (good > 0) {
      if (this.#allowance >= growth.most) this.#free(nowMs);
      else this.#allowance *= growth.factor;
    } else {
      // The gateway decided about none: among more there may be one that it decides about.
      this.#allowance = Math.min(growth.most, this.#allowance * growth.factor);
      this.#nextProbeMs = nowMs + this.#intervalMs;
    }
  }

  /** To be called now and then. Where there has been nothing to probe with for long, the app is tried as any other. */
  tick(nowMs: number): void {
    if (this.isProbeDue(nowMs) && nowMs >= this.#nextProbeMs + forgetAfterMs) this.#free(nowMs);
  }

  #judge(nowMs: number, epochMs: number, retryAfterMs: number): void {
    const good = this.#sums.sum('good');
    const byCause = slowCauses.map((cause) => ({ cause, count: this.#sums.sum(cause) }));
    const trouble = byCause.reduce((sum, { count }) => sum + count, 0);
    if (good + trouble < minimum || trouble < rule * (good + trouble)) return;
    const { cause } = byCause.reduce((most, one) => (one.count > most.count ? one : most));
    this.#slowed = { cause, sinceMs: epochMs };
    this.#sums.clear();
    this.#allowance = 1;
    if (nowMs - this.#freedAtMs >= wellForMs) this.#intervalMs = interval.firstMs;
    this.#waitLonger(nowMs, retryAfterMs);
  }

  /** A quarter more or less, so that workers do not ask in step. */
  #waitLonger(nowMs: number, retryAfterMs: number): void {
    const waitMs = this.#intervalMs * (0.75 + this.#random() * 0.5);
    this.#nextProbeMs = nowMs + Math.max(waitMs, Math.min(retryAfterMs, longestRetryAfterMs));
    this.#intervalMs = Math.min(interval.mostMs, this.#intervalMs * interval.factor);
  }

  #free(nowMs: number): void {
    this.#slowed = undefined;
    this.#allowance = 1;
    this.#freedAtMs = nowMs;
    this.#sums.clear();
  }
}
