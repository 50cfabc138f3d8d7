import { AttemptBudget, type BackoffPolicy, backoffDelayMs } from '../backoff.ts';

// When a transport may open its next connection. Four reasons make it wait: the last attempts failed (full-jitter
// backoff), too many attempts this minute, trouble with the credential (paused, with a probe now and then), or an
// attempt under way that will show whether the gateway takes us at all.

export interface Pause {
  readonly reason: string;
  readonly sinceMs: number;
}

/** Connections that lived so long were no failed attempts, however they ended. Milliseconds. */
const steadyMs = 5_000;

/** Of the attempts that may come at once, the part that suspects leave to the rest. */
const reservedShare = 0.5;

export class ConnectGate {
  readonly #backoff: BackoffPolicy;
  readonly #budget: AttemptBudget;
  readonly #refusalsBeforePause: number;
  readonly #pauseProbeMs: number;
  #failures = 0;
  #refusals = 0;
  #notBeforeMs = 0;
  #cause = '';
  #pause: Pause | undefined;
  #isUnproven = true;
  #isProbing = false;

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

  /**
   * No connection has shown, since the last trouble, that the gateway takes our credential: the next has to keep a
   * silence after its handshake before it is trusted.
   */
  get isUnproven(): boolean {
    return this.#isUnproven;
  }

  /** One attempt at a time while it is not known whether the gateway takes us. */
  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** Milliseconds until the next attempt may start; 0: now. */
  delayMs(nowMs: number, forSuspects = false): number {
    const budgetMs = this.#budget.delayMs(nowMs, forSuspects ? reservedShare : 0);
    return Math.max(0, this.#notBeforeMs - nowMs, budgetMs);
  }

  started(nowMs: number): void {
    this.#budget.spend(nowMs);
    this.#isProbing = this.#isUnproven;
  }

  /** An attempt was given up by ourselves. */
  abandoned(): void {
    this.#isProbing = false;
  }

  /** A connection has kept its silence: the gateway takes our credential. */
  trusted(): void {
    this.#isProbing = false;
    this.#isUnproven = false;
    this.#refusals = 0;
    this.#pause = undefined;
    this.#notBeforeMs = 0;
  }

  /** The gateway has answered and meant us: whatever is wrong, it is not the connection. */
  understood(): void {
    this.trusted();
    this.#failures = 0;
  }

  /** An attempt failed, or a connection died without a word after `livedMs`. */
  failed(nowMs: number, cause: string, livedMs: number): void {
    this.#failures = livedMs >= steadyMs ? 1 : this.#failures + 1;
    this.#isProbing = false;
    this.#isUnproven = true;
    this.#cause = cause;
    this.#notBeforeMs = nowMs + backoffDelayMs(this.#backoff, this.#failures);
    if (this.#pause !== undefined) this.#probeLater(nowMs);
  }

  /** The gateway turned us away: several times in a row mean that the credential is at fault. */
  refused(nowMs: number, reason: string, certain: boolean): void {
    this.failed(nowMs, reason, 0);
    this.#refusals++;
    if (certain || this.#refusals >= this.#refusalsBeforePause || this.#pause !== undefined) {
      this.#pause = { reason, sinceMs: this.#pause?.sinceMs ?? nowMs };
      this.#probeLater(nowMs);
    }
  }

  /** The credential changed: try it at once. */
  retryNow(): void {
    this.#notBeforeMs = 0;
    this.#refusals = 0;
    this.#isUnproven = true;
  }

  #probeLater(nowMs: number): void {
    this.#notBeforeMs = nowMs + this.#pauseProbeMs * (0.75 + Math.random() * 0.5);
  }
}
