import type { Random } from '../generators.ts';

/** How one way of a line behaves. */
export interface WireSettings {
  /** What every byte takes, milliseconds. */
  readonly delayMs: number;
  /** Up to so much more or less, chunk by chunk; the order is kept. Milliseconds. */
  readonly jitterMs: number;
  /** Of all connections together; 0: as many as there are. */
  readonly bytesPerSecond: number;
}

/** One way of a line: says when what goes in comes out. */
export class Wire {
  /** Nothing moves while it is set. */
  isStalled = false;
  readonly #random: Random;
  #settings: WireSettings = { delayMs: 0, jitterMs: 0, bytesPerSecond: 0 };
  /** When the last byte that was given to it has left its sender, by its bandwidth. */
  #freeAtMs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get settings(): WireSettings {
    return this.#settings;
  }

  set(settings: Partial<WireSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** What goes in comes out at once. */
  get isDirect(): boolean {
    const { delayMs, jitterMs, bytesPerSecond } = this.#settings;
    return delayMs === 0 && jitterMs === 0 && bytesPerSecond === 0 && !this.isStalled;
  }

  /** When so many bytes that go in at `nowMs` have come out. */
  arrivalMs(bytes: number, nowMs: number): number {
    const { delayMs, jitterMs, bytesPerSecond } = this.#settings;
    let leftMs = nowMs;
    if (bytesPerSecond > 0) {
      this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes / bytesPerSecond) * 1_000;
      leftMs = this.#freeAtMs;
    }
    const jitter = jitterMs === 0 ? 0 : (this.#random() * 2 - 1) * jitterMs;
    return leftMs + Math.max(0, delayMs + jitter);
  }
}
