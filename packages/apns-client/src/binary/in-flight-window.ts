import { advanceIdentifier, firstIdentifier, identifierDistance } from '@pushfleet/apns-wire';
import { Deque } from '../transport/deque.ts';
import type { Span } from '../transport/span.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';

// What has been written on one connection and is not settled, oldest first.
//
// Frames of one run that go out together have consecutive identifiers, so the window keeps a segment for
// them and not an entry per frame: a frame in flight costs a share of one small object. Nothing of the frame is
// kept; a replay encodes it again from its run.

interface Segment {
  readonly run: TrackedRun;
  readonly from: number;
  readonly to: number;
  /** Identifier of the frame at `from`. */
  readonly identifier: number;
}

/**
 * Pure bookkeeping: no socket, no clock. Identifiers count from 1 and wrap (`docs/protocol/binary.md#identifiers`).
 */
export class InFlightWindow {
  readonly #segments = new Deque<Segment>();
  #size = 0;
  #oldest: number;
  #next: number;
  #issued = 0;

  /** @param start Identifier of the first frame; other than 1 only to reach the wrap in tests. */
  constructor(start: number = firstIdentifier) {
    this.#oldest = start;
    this.#next = start;
  }

  /** Frames in flight. */
  get size(): number {
    return this.#size;
  }

  /** Frames written so far. */
  get issued(): number {
    return this.#issued;
  }

  /** The identifier that the next frame gets. */
  get nextIdentifier(): number {
    return this.#next;
  }

  /** Enters frames, before they are written. Returns the identifier of the first. */
  add(run: TrackedRun, from: number, to: number): number {
    const identifier = this.#next;
    const count = to - from;
    this.#segments.push({ run, from, to, identifier });
    this.#size += count;
    this.#issued += count;
    this.#next = advanceIdentifier(identifier, count);
    return identifier;
  }

  /** Spends an identifier on a frame that is no notification: the known-bad frame. */
  skip(): number {
    const identifier = this.#next;
    this.#next = advanceIdentifier(identifier, 1);
    this.#issued += 1;
    if (this.#size === 0) this.#oldest = this.#next;
    return identifier;
  }

  /**
   * Where an identifier stands: in flight; `settled`, that is, written on this connection and no longer in the
   * window; or `unknown`, never written here (0 among them).
   */
  locate(identifier: number): 'in-flight' | 'settled' | 'unknown' {
    if (identifier === 0) return 'unknown';
    const ahead = identifierDistance(this.#oldest, identifier);
    if (ahead >= 0) return ahead < this.#size ? 'in-flight' : 'unknown';
    return -ahead <= this.#issued - this.#size ? 'settled' : 'unknown';
  }

  /** How many of the frames written after a settled one are settled too. */
  settledAfter(identifier: number): number {
    return identifierDistance(identifier, this.#oldest) - 1;
  }

  /** Takes everything written before `identifier` out of the window, in order. */
  takeBefore(identifier: number, take: (run: TrackedRun, from: number, to: number) => void): void {
    while (this.#size > 0) {
      const segment = this.#segments.front()!;
      const ahead = identifierDistance(segment.identifier, identifier);
      if (ahead <= 0) return;
      this.#takeFromHead(Math.min(ahead, segment.to - segment.from), take);
    }
  }

  /** Takes the oldest frame out of the window; there must be one. */
  takeOldest(): Span {
    const { run, from } = this.#segments.front()!;
    this.#takeFromHead(1, () => {});
    return { run, from, to: from + 1 };
  }

  /** Takes everything out of the window, as spans in the order of writing. */
  takeAll(): Span[] {
    const spans = this.#segments.takeAll().map(({ run, from, to }) => ({ run, from, to }));
    this.#size = 0;
    this.#oldest = this.#next;
    return spans;
  }

  #takeFromHead(count: number, take: (run: TrackedRun, from: number, to: number) => void): void {
    const segment = this.#segments.front()!;
    const to = segment.from + count;
    this.#size -= count;
    this.#oldest = advanceIdentifier(segment.identifier, count);
    if (to === segment.to) this.#segments.removeFront();
    else this.#segments.replaceFront({ ...segment, from: to, identifier: this.#oldest });
    take(segment.run, segment.from, to);
  }
}
