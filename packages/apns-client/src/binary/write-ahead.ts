// Errors are late. What is written behind a bad frame, before the gateway's answer to it has come, is discarded, and
// has to be written again: at line rate the buffers in between hold some 30,000 frames. So after an error the next
// connection begins with a short stretch, waits for as long as errors take to come, and doubles the stretch each time
// that none has come, as TCP begins a connection. After a few stretches it writes as fast as it can again.
//
// Nothing depends on it but how much is written in vain: what is in flight is in the window, whatever its stretch.

/** Frames of the shortest stretch: to write them again costs less than a connection does. */
export const shortestStretch = 50;
/** A stretch this many times as long as the shortest would hold more than the buffers on the way to the gateway. */
export const longestByShortest = 640;
/** Until an error has shown how late errors come, the handshake's duration is the guess, at most this, milliseconds. */
const longestGuessMs = 250;
/** Errors that come later than that are not waited for, milliseconds. */
const longestWaitMs = 2_000;
/** Errors may come later than those before: the wait is the lag times this factor. */
const lagMargin = 1.25;
/** An error that comes sooner than those before shortens the wait by this part of the difference. */
const lagDecay = 1 / 8;

/** How long a stretch the next connection of a group begins with. */
export class WriteAhead {
  readonly #shortest: number;
  readonly #atFirst: number;
  #next: number;
  #lagMs: number | undefined;

  /** @param expectsErrors The very first stretch is short, too. */
  constructor(shortest: number, expectsErrors: boolean) {
    this.#shortest = shortest;
    this.#atFirst = expectsErrors ? shortest : Number.POSITIVE_INFINITY;
    this.#next = this.#atFirst;
  }

  /** An error response came. @param good Frames before the one that it names, on its connection */
  cutAfter(good: number): void {
    // If errors keep this rate, most of a burst longer than twice as much is wasted.
    this.#next = Math.max(this.#shortest, 2 * good);
  }

  /** An error response came. @param lagMs How long after the kernel had taken the frame that it names */
  errorCame(lagMs: number): void {
    const known = this.#lagMs ?? lagMs;
    this.#lagMs = lagMs >= known ? lagMs : known + (lagMs - known) * lagDecay;
  }

  /** For a new connection. */
  begin(): Stretch {
    const longest = this.#shortest * longestByShortest;
    const waitMs = this.#lagMs === undefined ? undefined : Math.ceil(this.#lagMs * lagMargin);
    return new Stretch(this.#next, longest, waitMs, () => {
      this.#next = this.#atFirst;
    });
  }
}

/** What one connection may write now, before it waits. */
export class Stretch {
  readonly #longest: number;
  readonly #onUnbounded: () => void;
  readonly #isLearned: boolean;
  #length: number;
  #left: number;
  #waitMs: number;
  /** When the kernel had taken all of it that is written; infinite while it has not. */
  #flushedAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param waitMs How late errors come; undefined while none has shown it.
   * @param onUnbounded Stretches have become so long that from now on there are none.
   */
  constructor(length: number, longest: number, waitMs: number | undefined, onUnbounded: () => void) {
    this.#length = length <= longest ? length : Number.POSITIVE_INFINITY;
    this.#left = this.#length;
    this.#longest = longest;
    this.#isLearned = waitMs !== undefined;
    this.#waitMs = Math.min(longestWaitMs, Math.max(1, waitMs ?? 0));
    this.#onUnbounded = onUnbounded;
  }

  /** Frames that may be written now. */
  get room(): number {
    return this.#left;
  }

  /** An answer takes about as long as the handshake did, as long as none has shown otherwise. */
  opened(handshakeMs: number): void {
    if (!this.#isLearned) this.#waitMs = Math.min(longestGuessMs, Math.max(1, handshakeMs));
  }

  /** Lengthens the stretch, if no error has come for as long as one takes. */
  poll(nowMs: number): void {
    if (this.#left >= this.#length || nowMs - this.#flushedAtMs < this.#waitMs) return;
    this.#length *= 2;
    if (this.#length > this.#longest) {
      this.#length = Number.POSITIVE_INFINITY;
      this.#onUnbounded();
    }
    this.#left = this.#length;
  }

  /** How long to wait for room, milliseconds; 0: there is some. */
  waitMs(nowMs: number): number {
    return this.#left > 0 ? 0 : Math.max(1, Math.ceil(this.#flushedAtMs + this.#waitMs - nowMs));
  }

  written(frames: number): void {
    this.#left -= frames;
    this.#flushedAtMs = Number.POSITIVE_INFINITY;
  }

  /** The kernel has what was written: from now on an answer may come. */
  flushed(nowMs: number): void {
    this.#flushedAtMs = nowMs;
  }
}
