import { AttemptBudget, type BackoffPolicy, backoffDelayMs } from '../backoff.ts';

// When the next connection may be opened. It waits after failures (full-jitter backoff), after too many attempts this
// minute, and while the credential is in trouble: then the transport is paused, and only asks now and then.

export interface Pause {
  readonly reason: string;
  readonly sinceMs: number;
}

export class Http2Gate {
  readonly #backoff: BackoffPolicy;
  readonly #budget: AttemptBudget;
  readonly #refusalsBeforePause: number;
  readonly #pauseProbeMs: number;
  #failures = 0;
  #refusals = 0;
  #notBeforeMs = 0;
  #cause = '';
  #pause: Pause | undefined;

  constructor(options: {
    backoff: BackoffPolicy;
    attemptsPerMinute: number;
    refusalsBeforePause: number;
    pauseProbeMs: number;
  }) {
    this.#backoff = options.backoff;
    this.#budget = new AttemptBudget(options.attemptsPerMinute);
    this.#refusalsBeforePause = options.refusalsBeforePause;
    this.#pauseProbeMs = options.pauseProbeMs;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  get cause(): string {
    return this.#cause;
  }

  get pause(): Pause | undefined {
    return this.#pause;
  }

  /** Milliseconds until the next attempt may start; 0: now. */
  delayMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs, this.#budget.delayMs(nowMs));
  }

  started(nowMs: number): void {
    this.#budget.spend(nowMs);
  }

  /** The gateway has answered, and lets us send. */
  answered(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#pause = undefined;
    this.#notBeforeMs = 0;
  }

  /** An attempt failed, or a connection died: the network or the gateway, not the credential. */
  failed(nowMs: number, cause: string): void {
    this.#failures++;
    this.#cause = cause;
    if (this.#pause === undefined) this.#notBeforeMs = nowMs + backoffDelayMs(this.#backoff, this.#failures);
    else this.#probeLater(nowMs);
  }

  /** The gateway turned us away: for certain, or several times in a row, it is the credential. */
  refused(nowMs: number, reason: string, isCertain: boolean): void {
    this.failed(nowMs, reason);
    this.#refusals++;
    if (isCertain || this.#refusals >= this.#refusalsBeforePause || this.#pause !== undefined) {
      this.#pause = { reason, sinceMs: this.#pause?.sinceMs ?? nowMs };
      this.#probeLater(nowMs);
    }
  }

  /** The gateway wants to be left alone: paused until then. */
  holdUntil(nowMs: number, reason: string, untilMs: number): void {
    this.refused(nowMs, reason, true);
    this.#notBeforeMs = untilMs;
  }

  /** The credential changed: try it at once. */
  retryNow(): void {
    this.#notBeforeMs = 0;
    this.#refusals = 0;
  }

  /** Never sooner than the gateway has asked for. */
  #probeLater(nowMs: number): void {
    const probeMs = nowMs + this.#pauseProbeMs * (0.75 + Math.random() * 0.5);
    this.#notBeforeMs = Math.max(this.#notBeforeMs, probeMs);
  }
}
