import { type BackoffPolicy, backoffDelayMs, MinuteLimit } from '../backoff.ts';

// When a transport may open its next connection. Three reasons make it wait: the last attempts failed (full-jitter
// backoff), too many attempts this minute, or trouble with the credential (paused, with a probe now and then).

export interface Pause {
  readonly reason: string;
  readonly sinceMs: number;
}

export class ConnectGate {
  readonly #backoff: BackoffPolicy;
  readonly #minute: MinuteLimit;
  readonly #refusalsBeforePause: number;
  readonly #pauseProbeMs: number;
  #failures = 0;
  #refusals = 0;
  #notBeforeMs = 0;
  #cause = '';
  #pause: Pause | undefined;
  /** No connection has shown yet, since the last trouble, that the gateway takes our credential. */
  #unproven = true;

  constructor(options: {
    backoff: BackoffPolicy;
    attemptsPerMinute: number;
    refusalsBeforePause: number;
    pauseProbeMs: number;
  }) {
    this.#backoff = options.backoff;
    this.#minute = new MinuteLimit(options.attemptsPerMinute);
    this.#refusalsBeforePause = options.refusalsBeforePause;
    this.#pauseProbeMs = options.pauseProbeMs;
  }

  get failures(): number {
    return this.#failures;
  }

  get cause(): string {
    return this.#cause;
  }

  get pause(): Pause | undefined {
    return this.#pause;
  }

  /** Whether the next connection has to keep a silence after its handshake before it is trusted. */
  get unproven(): boolean {
    return this.#unproven;
  }

  /** Milliseconds until the next attempt may start; 0: now. */
  delayMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs, this.#minute.delayMs(nowMs));
  }

  started(nowMs: number): void {
    this.#minute.record(nowMs);
  }

  /** A connection has opened and kept its silence, or the gateway has answered on it: all is well. */
  proven(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#unproven = false;
    this.#pause = undefined;
    this.#notBeforeMs = 0;
  }

  /** An attempt failed, or a connection died without a word: the network or the gateway, not the credential. */
  failed(nowMs: number, cause: string): void {
    this.#failures++;
    this.#unproven = true;
    this.#cause = cause;
    this.#notBeforeMs = nowMs + backoffDelayMs(this.#backoff, this.#failures);
  }

  /** The gateway turned us away: several times in a row mean that the credential is at fault. */
  refused(nowMs: number, reason: string, certain: boolean): void {
    this.#refusals++;
    this.failed(nowMs, reason);
    if (certain || this.#refusals >= this.#refusalsBeforePause || this.#pause !== undefined) {
      this.#pause ??= { reason, sinceMs: nowMs };
      this.#notBeforeMs = nowMs + this.#pauseProbeMs * (0.75 + Math.random() * 0.5);
    }
  }

  /** The credential changed: try it at once. */
  retryNow(): void {
    this.#notBeforeMs = 0;
    this.#refusals = 0;
    this.#unproven = true;
  }
}
