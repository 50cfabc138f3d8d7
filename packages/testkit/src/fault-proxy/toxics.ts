// The vocabulary of Shopify's toxiproxy, in its words, per direction. Two toxics are ours: `stop_reading`, a peer
// that takes no more (true backpressure), and the `how` of limit_data, since a cut connection can end in ways that
// a sender must tell apart.

/** `upstream`: from the client to the target; `downstream`: from the target to the client. */
export type Direction = 'upstream' | 'downstream';

/** How a connection is ended: FIN after what was forwarded; RST, which also discards what is on its way. */
export type CutMode = 'close' | 'reset';

export type Toxic =
  /** Every chunk arrives later, by `latencyMs` and up to `jitterMs` more or less. */
  | { readonly type: 'latency'; readonly latencyMs: number; readonly jitterMs?: number }
  /** At most so many bytes a second. */
  | { readonly type: 'bandwidth'; readonly bytesPerSecond: number }
  /** The end of the stream is passed on only after `delayMs`. */
  | { readonly type: 'slow_close'; readonly delayMs: number }
  /** A black hole: nothing gets through; after `timeoutMs` the connection closes, with 0 never. What comes in is lost. */
  | { readonly type: 'timeout'; readonly timeoutMs: number }
  /** RST to both sides, `timeoutMs` after the toxic meets the connection. */
  | { readonly type: 'reset_peer'; readonly timeoutMs: number }
  /** Cut into pieces of `averageSize` bytes, give or take `sizeVariation`, `delayMs` apart. */
  | {
      readonly type: 'slicer';
      readonly averageSize: number;
      readonly sizeVariation?: number;
      readonly delayMs?: number;
    }
  /** The connection ends once so many bytes have passed since it was made; `how` is `close` by default. */
  | { readonly type: 'limit_data'; readonly bytes: number; readonly how?: CutMode }
  /** Nothing is read any more, so that the sender's `write()` returns false: nothing is lost. */
  | { readonly type: 'stop_reading' };

export type ToxicOf<Type extends Toxic['type']> = Extract<Toxic, { type: Type }>;

/** The toxics of one direction, changeable at any time. Those of a kind are found in the order they were added. */
export class ToxicSet {
  #toxics: readonly Toxic[] = [];
  #waiting: (() => void)[] = [];

  add(toxic: Toxic): () => void {
    this.#toxics = [...this.#toxics, toxic];
    this.#changed();
    return () => {
      this.#toxics = this.#toxics.filter((other) => other !== toxic);
      this.#changed();
    };
  }

  clear(): void {
    this.#toxics = [];
    this.#changed();
  }

  find<Type extends Toxic['type']>(type: Type): ToxicOf<Type> | undefined {
    return this.#toxics.find((toxic): toxic is ToxicOf<Type> => toxic.type === type);
  }

  has(toxic: Toxic): boolean {
    return this.#toxics.includes(toxic);
  }

  /** Waits until toxics come or go, the signal aborts, or `timeoutMs` is over; never rejects. */
  async change(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', settle);
        this.#waiting = this.#waiting.filter((other) => other !== settle);
        resolve();
      };
      if (timeoutMs !== undefined) timer = setTimeout(settle, timeoutMs);
      signal.addEventListener('abort', settle, { once: true });
      this.#waiting.push(settle);
    });
  }

  #changed(): void {
    for (const settle of this.#waiting) settle();
  }
}
