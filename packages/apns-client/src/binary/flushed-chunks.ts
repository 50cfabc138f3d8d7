import { identifierDistance } from '@pushfleet/apns-wire';

/** What the kernel has taken of a connection, chunk by chunk, oldest first. Knows no clock. */
export class FlushedChunks {
  readonly #chunks: { readonly nextIdentifier: number; readonly atMs: number }[] = [];

  /** When the oldest chunk was taken that is not settled, by the clock's `now()`; undefined: there is none. */
  get oldestMs(): number | undefined {
    return this.#chunks[0]?.atMs;
  }

  /** The kernel has taken a chunk. @param nextIdentifier The one after its last frame */
  add(nextIdentifier: number, atMs: number): void {
    this.#chunks.push({ nextIdentifier, atMs });
  }

  /** Forgets the chunks taken until then. Returns the identifier after their last frame; undefined: there are none. */
  takeUntil(atMs: number): number | undefined {
    let due = 0;
    while (due < this.#chunks.length && this.#chunks[due]!.atMs <= atMs) due++;
    if (due === 0) return undefined;
    const { nextIdentifier } = this.#chunks[due - 1]!;
    this.#chunks.splice(0, due);
    return nextIdentifier;
  }

  /** When the kernel took a frame that is not settled; undefined: it has not yet. */
  flushedAtMs(identifier: number): number | undefined {
    return this.#chunks.find((chunk) => identifierDistance(identifier, chunk.nextIdentifier) > 0)?.atMs;
  }
}
