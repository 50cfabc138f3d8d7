import type { ActiveRule } from './active-rule.ts';

/** What a brake holds: a socket, or what stands before one. */
export interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/** Keeps a connection from reading at all, or faster than a rule allows, for as long as the rule is in the book. */
export class ReadBrake {
  readonly #socket: Pausable;
  readonly #onRelease: () => void;
  #stop: ActiveRule | undefined;
  #slow: { readonly rule: ActiveRule; readonly bytesPerSecond: number } | undefined;
  #stopTimer: NodeJS.Timeout | undefined;
  #slowTimer: NodeJS.Timeout | undefined;

  /** @param onRelease Called when reading may go on, before the socket resumes. */
  constructor(socket: Pausable, onRelease: () => void) {
    this.#socket = socket;
    this.#onRelease = onRelease;
  }

  /** Nothing may be read, also not of what has come in already. */
  get isStopped(): boolean {
    return this.#stop !== undefined;
  }

  /** Stops reading until the rule's time is over or the rule is taken away. */
  stop(rule: ActiveRule): void {
    this.#stop = rule;
    this.#socket.pause();
    clearTimeout(this.#stopTimer);
    if (Number.isFinite(rule.remainingMs)) {
      this.#stopTimer = setTimeout(() => this.#endStop(), rule.remainingMs);
    }
  }

  slow(rule: ActiveRule, bytesPerSecond: number): void {
    this.#slow = { rule, bytesPerSecond };
  }

  /** To be called after every chunk: waits for as long as it should have taken. */
  chunkRead(bytes: number): void {
    if (this.#slow === undefined) return;
    if (this.#slow.rule.remainingMs <= 0) {
      this.#slow = undefined;
      return;
    }
    this.#socket.pause();
    const waitMs = (bytes / this.#slow.bytesPerSecond) * 1_000;
    this.#slowTimer = setTimeout(() => this.#endWait(), waitMs);
  }

  /** Lets go of what rules hold that are in the book no longer. */
  releaseUnless(isInBook: (rule: ActiveRule) => boolean): void {
    if (this.#slow !== undefined && !isInBook(this.#slow.rule)) {
      this.#slow = undefined;
      if (this.#slowTimer !== undefined) this.#endWait();
    }
    if (this.#stop !== undefined && !isInBook(this.#stop)) this.#endStop();
  }

  /** To be called when the connection is gone. */
  dispose(): void {
    clearTimeout(this.#stopTimer);
    clearTimeout(this.#slowTimer);
  }

  #endStop(): void {
    clearTimeout(this.#stopTimer);
    this.#stop = undefined;
    this.#onRelease();
    this.#resume();
  }

  #endWait(): void {
    clearTimeout(this.#slowTimer);
    this.#slowTimer = undefined;
    this.#resume();
  }

  #resume(): void {
    if (this.#stop === undefined && this.#slowTimer === undefined) this.#socket.resume();
  }
}
