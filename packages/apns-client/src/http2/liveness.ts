/** Times in milliseconds. */
export interface LivenessOptions {
  readonly pingAfterMs: number;
  readonly pingTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly streamTimeoutMs: number;
}

/** What time says of a connection: whether the gateway is there, lets us send, and is needed. Knows no clock. */
export class Liveness {
  readonly #options: LivenessOptions;
  #lastWriteMs: number;
  #lastReadMs: number;
  #pingSentMs: number | undefined;
  #stuckSinceMs: number | undefined;

  constructor(options: LivenessOptions, nowMs: number) {
    this.#options = options;
    this.#lastWriteMs = nowMs;
    this.#lastReadMs = nowMs;
  }

  wrote(nowMs: number): void {
    this.#lastWriteMs = nowMs;
  }

  /** Bytes were read: the network and the gateway are there. Whether requests are answered, `ConnectionWork` knows. */
  read(nowMs: number): void {
    this.#lastReadMs = nowMs;
    this.#pingSentMs = undefined;
  }

  /** A PING has gone unanswered for too long. */
  isLost(nowMs: number): boolean {
    return this.#pingSentMs !== undefined && nowMs - this.#pingSentMs >= this.#options.pingTimeoutMs;
  }

  /** A PING is to be sent: the connection has been silent for `pingAfterMs`. */
  isPingDue(nowMs: number): boolean {
    return this.#pingSentMs === undefined && nowMs - this.#lastReadMs >= this.#options.pingAfterMs;
  }

  /** A PING was sent. */
  pinged(nowMs: number): void {
    this.#pingSentMs = nowMs;
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.#lastWriteMs >= this.#options.idleTimeoutMs;
  }

  /** A tick has come. @param isStuck The gateway allows no request, though nothing is under way. */
  ticked(nowMs: number, isStuck: boolean): void {
    this.#stuckSinceMs = isStuck ? (this.#stuckSinceMs ?? nowMs) : undefined;
  }

  /** The gateway has allowed no request for too long. */
  isStalled(nowMs: number): boolean {
    return this.#stuckSinceMs !== undefined && nowMs - this.#stuckSinceMs >= this.#options.streamTimeoutMs;
  }
}
