/** Where time comes from; injected, so that tests decide when it passes. */
export interface LeaseClock {
  /** Milliseconds that pass evenly, whatever is done to the system's clock. */
  now(): number;
  /** Epoch milliseconds by the system's clock. */
  epochMs(): number;
}

/** The same as that of apns-client, which reads leases. */
export const systemLeaseClock: LeaseClock = {
  now: () => performance.timeOrigin + performance.now(),
  epochMs: () => Date.now(),
};

/** A point in time by both clocks. */
interface Moment {
  readonly nowMs: number;
  readonly epochMs: number;
}

/** Share of a lock's life that its lease is shorter: for what is being written when it ends, and for drift. */
const marginShare = 0.1;

/** How long a lease is for a lock that lives `lockDurationMs`. Milliseconds. */
export function leaseDurationMs(lockDurationMs: number): number {
  return lockDurationMs * (1 - marginShare);
}

/**
 * Until when a job is ours by our own clocks: always less than Redis gives it, so that a worker that stood still or
 * cannot reach Redis stops by itself before another may begin.
 */
export class JobLease {
  readonly #clock: LeaseClock;
  readonly #durationMs: number;
  #since: Moment;
  #hasEnded = false;

  /** Begins now: to be made before the job is asked for. */
  constructor(clock: LeaseClock, lockDurationMs: number) {
    this.#clock = clock;
    this.#durationMs = leaseDurationMs(lockDurationMs);
    this.#since = this.#moment();
  }

  /** By the even clock, milliseconds; earlier by as much as the system's clock has gone ahead of it. */
  get untilMs(): number {
    if (this.#hasEnded) return Number.NEGATIVE_INFINITY;
    const { nowMs, epochMs } = this.#moment();
    // A machine that was suspended may not count the time in the even clock.
    const leaptMs = Math.max(0, epochMs - this.#since.epochMs - (nowMs - this.#since.nowMs));
    return this.#since.nowMs + this.#durationMs - leaptMs;
  }

  get isOver(): boolean {
    return this.untilMs <= this.#clock.now();
  }

  /** Asks for more: to be called before the renewal is sent. What comes back is called once Redis has granted it. */
  renewal(): () => void {
    const since = this.#moment();
    return () => {
      this.#since = since;
    };
  }

  /** The job is another worker's. */
  end(): void {
    this.#hasEnded = true;
  }

  #moment(): Moment {
    return { nowMs: this.#clock.now(), epochMs: this.#clock.epochMs() };
  }
}
