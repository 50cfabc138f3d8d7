/** So many lines that say the same come out within a window; the others are told by the last of them. */
const burst = 10;
const windowMs = 10_000;
/** Kinds of lines that are told apart; beyond it nothing is held back. */
const maxKinds = 1_000;

interface Kind {
  count: number;
  /** Writes the last line that is held back. */
  last: ((repeated: number) => void) | undefined;
}

/** Keeps an outage from being a flood: of warnings that say the same, most are summarised by one line. */
export class RepeatedLines {
  readonly #kinds = new Map<string, Kind>();

  /** Whether to write the line now; else `write` is called at the end of the window, if it is the last by then. */
  admits(kind: string, write: (repeated: number) => void): boolean {
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      if (this.#kinds.size >= maxKinds) return true;
      this.#kinds.set(kind, { count: 1, last: undefined });
      setTimeout(() => this.#end(kind), windowMs).unref();
      return true;
    }
    known.count += 1;
    if (known.count <= burst) return true;
    known.last = write;
    return false;
  }

  /** Writes what is held back. */
  flush(): void {
    for (const kind of [...this.#kinds.keys()]) this.#end(kind);
  }

  #end(kind: string): void {
    const known = this.#kinds.get(kind);
    this.#kinds.delete(kind);
    known?.last?.(known.count - burst);
  }
}
