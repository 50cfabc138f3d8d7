import { ConnectGate } from '../transport/connect-gate.ts';

/**
 * The gate of the binary protocol, where success is silent: whether the gateway takes our credential shows only when a
 * connection lives on after its handshake. Until one has, there is one attempt at a time.
 */
export class BinaryGate extends ConnectGate {
  #isUnproven = true;
  #isProbing = false;

  /**
   * No connection has shown, since the last trouble, that the gateway takes our credential: the next has to keep a
   * silence after its handshake before it is trusted.
   */
  get isUnproven(): boolean {
    return this.#isUnproven;
  }

  /** An attempt is under way that will show whether the gateway takes us at all. */
  get isProbing(): boolean {
    return this.#isProbing;
  }

  override started(nowMs: number): void {
    super.started(nowMs);
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
    this.lift();
  }

  override answered(): void {
    this.trusted();
    super.answered();
  }

  override failed(nowMs: number, cause: string, livedMs = 0): void {
    this.#isProbing = false;
    this.#isUnproven = true;
    super.failed(nowMs, cause, livedMs);
  }

  override pauseUntil(nowMs: number, reason: string, untilMs: number): void {
    this.#isProbing = false;
    this.#isUnproven = true;
    super.pauseUntil(nowMs, reason, untilMs);
  }

  override retryNow(): void {
    this.#isUnproven = true;
    super.retryNow();
  }
}
