import { Problem } from '../http/problem.ts';

export interface FileAdmissionOptions {
  /** Files that are read at once, at this producer. */
  readonly atOnce?: number;
  /** Of those, and of those that wait, how many may be one caller's. */
  readonly perCaller?: number;
  /** Files that wait for their turn; their bodies are not read meanwhile. */
  readonly waiting?: number;
  /** How long one waits, milliseconds: less than a silent connection may last. */
  readonly waitMs?: number;
}

interface Waiting {
  readonly caller: string;
  readonly begin: () => void;
}

/**
 * Admits files that are read as they come: each costs a connection to Postgres, and processor time. What finds no room
 * waits; of several callers the one with the fewest under way is next, the first of those that wait as long.
 */
export class FileAdmission {
  readonly #options: Required<FileAdmissionOptions>;
  readonly #waiting: Waiting[] = [];
  readonly #underWay = new Map<string, number>();
  #count = 0;

  constructor({ atOnce = 4, perCaller = 2, waiting = 32, waitMs = 60_000 }: FileAdmissionOptions = {}) {
    this.#options = { atOnce, perCaller, waiting, waitMs };
  }

  /**
   * Resolves when a file of a caller may be read; gives what ends that, to be called once.
   * @throws Problem `backpressure` when too many wait, or none has ended in time
   */
  async enter(caller: string): Promise<() => void> {
    if (this.#fits(caller)) return this.#begin(caller);
    const { waiting, waitMs } = this.#options;
    const ofCaller = this.#waiting.filter((each) => each.caller === caller).length;
    if (this.#waiting.length >= waiting || ofCaller >= waiting / 2) throw noRoom();
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    const place: Waiting = { caller, begin: () => resolve(this.#begin(caller)) };
    this.#waiting.push(place);
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(place), 1);
      reject(noRoom());
    }, waitMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #fits(caller: string): boolean {
    const { atOnce, perCaller } = this.#options;
    return this.#count < atOnce && this.#of(caller) < perCaller;
  }

  #of(caller: string): number {
    return this.#underWay.get(caller) ?? 0;
  }

  #begin(caller: string): () => void {
    this.#count += 1;
    this.#underWay.set(caller, this.#of(caller) + 1);
    return () => {
      this.#count -= 1;
      const left = this.#of(caller) - 1;
      if (left === 0) this.#underWay.delete(caller);
      else this.#underWay.set(caller, left);
      this.#admitNext();
    };
  }

  #admitNext(): void {
    const [next] = this.#waiting
      .filter(({ caller }) => this.#fits(caller))
      .toSorted((one, other) => this.#of(one.caller) - this.#of(other.caller));
    if (next === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    next.begin();
  }
}

function noRoom(): Problem {
  return new Problem('backpressure', 'too many files are being read already', { retryAfterSeconds: 10 });
}
