import type { VirtualTime } from './virtual-time.ts';

/** What a gateway was sent, by device token; each notification of a row has a token of its own. */
export class Ledger {
  readonly #time: VirtualTime;
  readonly #tokens: ReadonlySet<string>;
  readonly #copies = new Map<string, number>();
  readonly #callsAt: number[] = [];
  readonly #firstAt: number[] = [];
  connections = 0;
  /** Frames that the gateway answered nothing to, and did not deliver, since something before them ended the connection. */
  discarded = 0;
  /** Requests that the gateway took, and of which the worker cannot know: their connection ended before an answer. */
  unanswered = 0;

  constructor(time: VirtualTime, tokens: readonly string[]) {
    this.#time = time;
    this.#tokens = new Set(tokens);
  }

  /** Whether it is one of the row's devices; others are what the worker asks with whether a trouble is over. */
  knows(token: string): boolean {
    return this.#tokens.has(token);
  }

  /** A frame or a request has reached the gateway. */
  call(): void {
    this.#time.touch();
    this.#callsAt.push(this.#time.nowMs);
  }

  /** The gateway took it: the device has it. */
  deliver(token: string): void {
    const copies = (this.#copies.get(token) ?? 0) + 1;
    this.#copies.set(token, copies);
    if (copies === 1) this.#firstAt.push(this.#time.nowMs);
  }

  copiesOf(token: string): number {
    return this.#copies.get(token) ?? 0;
  }

  get calls(): number {
    return this.#callsAt.length;
  }

  get delivered(): number {
    return this.#copies.size;
  }

  /** Deliveries beyond the first. */
  get doubled(): number {
    let doubled = 0;
    for (const copies of this.#copies.values()) doubled += copies - 1;
    return doubled;
  }

  /** The most copies of one notification. */
  get mostCopies(): number {
    return Math.max(0, ...this.#copies.values());
  }

  callsBetween(fromMs: number, toMs: number): number {
    return this.#callsAt.filter((at) => at >= fromMs && at < toMs).length;
  }

  /** First deliveries from then on. */
  deliveredAfter(fromMs: number): number {
    return this.#firstAt.filter((at) => at >= fromMs).length;
  }

  /** First deliveries a second, over the middle half of those after `fromMs`. */
  rateAfter(fromMs: number): number {
    const after = this.#firstAt.filter((at) => at >= fromMs);
    const from = after[Math.floor(after.length * 0.45)];
    const to = after[Math.floor(after.length * 0.95)];
    if (from === undefined || to === undefined) return 0;
    return (after.length / 2 / Math.max(1, to - from)) * 1_000;
  }

  /** When the last one was delivered for the first time. */
  get lastMs(): number {
    return this.#firstAt.at(-1) ?? 0;
  }
}
