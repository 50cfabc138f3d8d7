import { AttemptBudget, type BackoffPolicy, backoffDelayMs, spreadMs } from './backoff.ts';
import type { PauseKind } from './transport.ts';

// When a transport may open its next connection. Three reasons make it wait: the last attempts failed (full-jitter
// backoff), too many attempts this minute, or the transport is paused. Paused by what the gateway said of the
// credential, it asks every `pauseProbeMs` whether the trouble is over. Paused because no connection comes about, it
// goes on connecting by the same backoff as before: what waits has been handed back, and another worker may send it.

export interface Pause {
  readonly about: PauseKind;
  readonly reason: string;
  readonly sinceMs: number;
  /** When the gateway was last asked whether the trouble is over. */
  readonly checkedAtMs: number;
  /** When it is asked again. */
  readonly untilMs: number;
  /** The gateway wants to be left alone until then; otherwise it is we who choose the time. */
  readonly isHold: boolean;
}

export interface ConnectGateOptions {
  readonly backoff: BackoffPolicy;
  readonly attemptsPerMinute: number;
  /** Connections in a row that did not come about, or were cut before anything was written, after which it pauses. */
  readonly refusalsBeforePause: number;
  readonly pauseProbeMs: number;
}

/** A connection that lived this long was no failed attempt, however it ended. Milliseconds. */
const steadyMs = 5_000;

export class ConnectGate {
  readonly #options: ConnectGateOptions;
  readonly #budget: AttemptBudget;
  #failures = 0;
  #refusals = 0;
  #notBeforeMs = 0;
  #cause = '';
  #pause: Pause | undefined;
  /** How often a paused transport asks: as the gateway's word on the credential allows, or as failures do. */
  #pace: 'probe' | 'backoff' = 'probe';

  constructor(options: ConnectGateOptions) {
    this.#options = options;
    this.#budget = new AttemptBudget(options.attemptsPerMinute);
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
   * Milliseconds until the next attempt may start; 0: now.
   * @param reserved Part of the attempts that may come at once that is kept for others, 0 to 1.
   */
  delayMs(nowMs: number, reserved = 0): number {
    return Math.max(0, this.#notBeforeMs - nowMs, this.#budget.delayMs(nowMs, reserved));
  }

  started(nowMs: number): void {
    this.#budget.spend(nowMs);
  }

  /** The gateway has answered: whatever is wrong, it is neither the connection nor the credential. */
  answered(): void {
    this.#failures = 0;
    this.lift();
  }

  /** An attempt failed, or a connection died after `livedMs`: the network or the gateway, not the credential. */
  failed(nowMs: number, cause: string, livedMs = 0): void {
    this.#failures = livedMs >= steadyMs ? 1 : this.#failures + 1;
    this.#cause = cause;
    if (this.#pause !== undefined) this.#askLater(nowMs);
    else this.#notBeforeMs = nowMs + backoffDelayMs(this.#options.backoff, this.#failures);
  }

  /** The gateway, or our own files, say for certain that we may not send: paused about that, and asked now and then. */
  refused(nowMs: number, reason: string, about: PauseKind = 'credential'): void {
    this.failed(nowMs, reason);
    this.#refusals++;
    this.#pauseAbout(about, reason, nowMs, 'probe');
  }

  /**
   * No connection came about, or it ended before anything could be written. After several in a row the transport pauses
   * about `worker`: what waits is not kept from other workers. Connecting goes on by backoff, and success ends the pause.
   * @param isCutOff No other connection is open. While one is, this is a failed attempt and no more.
   */
  unreachable(nowMs: number, reason: string, isCutOff: boolean): void {
    this.failed(nowMs, reason);
    // What the gateway has said of the credential is not forgotten because it cannot be reached.
    if (!isCutOff || (this.#pause !== undefined && this.#pause.about !== 'worker')) return;
    this.#refusals++;
    if (this.#pause !== undefined) this.#pauseAbout('worker', reason, nowMs, this.#pace);
    else if (this.#refusals >= this.#options.refusalsBeforePause) {
      this.#pauseAbout('worker', reason, nowMs, 'backoff');
    }
  }

  /** The gateway takes nothing: paused about `worker`, and asked again then. */
  pauseUntil(nowMs: number, reason: string, untilMs: number): void {
    this.#failures++;
    this.#cause = reason;
    if (this.#pause === undefined) this.#pace = 'backoff';
    else if (this.#pause.about !== 'worker') return;
    const sinceMs = this.#pause?.sinceMs ?? nowMs;
    this.#notBeforeMs = Math.max(this.#notBeforeMs, untilMs);
    this.#pause = {
      about: 'worker',
      reason,
      sinceMs,
      checkedAtMs: nowMs,
      untilMs: this.#notBeforeMs,
      isHold: false,
    };
  }

  /** The gateway wants to be left alone: paused until then. */
  holdUntil(nowMs: number, reason: string, untilMs: number): void {
    this.refused(nowMs, reason);
    this.#notBeforeMs = untilMs;
    this.#pause = { ...this.#pause!, untilMs, isHold: true };
  }

  /** The credential changed, or a probe was asked for: the next attempt may start at once. */
  retryNow(): void {
    this.#notBeforeMs = 0;
    this.#refusals = 0;
  }

  /** The credential is good. */
  protected lift(): void {
    this.#refusals = 0;
    this.#pause = undefined;
    this.#notBeforeMs = 0;
  }

  #pauseAbout(about: PauseKind, reason: string, nowMs: number, pace: 'probe' | 'backoff'): void {
    const sinceMs = this.#pause?.sinceMs ?? nowMs;
    this.#pace = pace;
    this.#pause = { about, reason, sinceMs, checkedAtMs: nowMs, untilMs: nowMs, isHold: false };
    this.#askLater(nowMs);
  }

  /** Never sooner than the gateway has asked for. */
  #askLater(nowMs: number): void {
    const { backoff, pauseProbeMs } = this.#options;
    const askMs =
      nowMs +
      (this.#pace === 'backoff'
        ? backoffDelayMs(backoff, this.#failures)
        : spreadMs(pauseProbeMs, 0.75, 1.25));
    this.#notBeforeMs = Math.max(this.#notBeforeMs, askMs);
    const isHold = this.#pause!.isHold && this.#notBeforeMs > askMs;
    this.#pause = { ...this.#pause!, checkedAtMs: nowMs, untilMs: this.#notBeforeMs, isHold };
  }
}
