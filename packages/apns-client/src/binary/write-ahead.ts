// Errors are late. What is written behind a bad frame, before the gateway's answer to it has come, is discarded, and
// has to be written again: at line rate the buffers in between hold some 30,000 frames. So after an error the next
// connection begins with a short stretch, waits for as long as an answer takes, and doubles the stretch each time that
// none has come, as TCP begins a connection. After a few stretches it writes as fast as it can again.
//
// Nothing depends on it but how much is written in vain: what is in flight is in the window, whatever its stretch.

/** Frames of the shortest stretch: to write them again costs less than a connection does. */
export const shortestStretch = 200;
/** So many times as long, a stretch would hold more than the buffers in between. */
const longestByShortest = 160;
/** However long the handshake took, an answer is waited for no longer than this, milliseconds. */
const longestWaitMs = 250;

/** How long a stretch the next connection of a group begins with. */
export class WriteAhead {
  readonly #shortest: number;
  readonly #atFirst: number;
  #next: number;

  /** @param expectsErrors The very first stretch is short, too. */
  constructor(shortest: number, expectsErrors: boolean) {
    this.#shortest = shortest;
    this.#atFirst = expectsErrors ? shortest : Number.POSITIVE_INFINITY;
    this.#next = this.#atFirst;
  }

  /** An error response named the frame that came after `good` others on its connection. */
  cutAfter(good: number): void {
    // Errors that come as often as that one leave the greater part of twice the stretch worthless.
    this.#next = Math.max(this.#shortest, 2 * good);
  }

  /** For a new connection. */
  begin(): Stretch {
    const longest = this.#shortest * longestByShortest;
    return new Stretch(this.#next, longest, () => {
      this.#next = this.#atFirst;
    });
  }
}

/** What one connection may write now, before it waits. */
export class Stretch {
  readonly #longest: number;
  readonly #onUnbounded: () => void;
  #length: number;
  #left: number;
  #waitMs = 0;
  /** When the kernel had taken all of it that is written; infinite while it has not. */
  #takenAtMs = Number.POSITIVE_INFINITY;

  /** @param onUnbounded Stretches have become so long that from now on there are none. */
  constructor(length: number, longest: number, onUnbounded: () => void) {
    this.#length = length <= longest ? length : Number.POSITIVE_INFINITY;
    this.#left = this.#length;
    this.#longest = longest;
    this.#onUnbounded = onUnbounded;
  }

  /** An answer takes about as long as the handshake did: a round trip, and what both sides have to do. */
  opened(handshakeMs: number): void {
    this.#waitMs = Math.min(longestWaitMs, Math.max(1, handshakeMs));
  }

  /** Frames that may be written now. */
  room(nowMs: number): number {
    if (this.#left < this.#length && nowMs - this.#takenAtMs >= this.#waitMs) this.#lengthen();
    return this.#left;
  }

  /** How long to wait for room, milliseconds; 0: there is some. */
  waitMs(nowMs: number): number {
    return this.room(nowMs) > 0 ? 0 : Math.max(1, Math.ceil(this.#takenAtMs + this.#waitMs - nowMs));
  }

  written(frames: number): void {
    this.#left -= frames;
    this.#takenAtMs = Number.POSITIVE_INFINITY;
  }

  /** The kernel has what was written: from now on an answer may come. */
  taken(nowMs: number): void {
    this.#takenAtMs = nowMs;
  }

  #lengthen(): void {
    this.#length *= 2;
    if (this.#length > this.#longest) {
      this.#length = Number.POSITIVE_INFINITY;
      this.#onUnbounded();
    }
    this.#left = this.#length;
  }
}
