import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';

/** Of every body so many bytes are not counted: they are many, and add up to little. */
const freeBytes = 64 * 1024;

/**
 * Bounds the memory that bodies take together, by the bytes that have come. What finds no room is told to come again; a
 * body is let in whatever its size while no other is under way. Of several callers one has half of the room at most,
 * unless it has a single body under way.
 */
export class BodyBudget {
  readonly maxBytes: number;
  #bytes = 0;
  readonly #callers = new Map<string, { bytes: number; bodies: number }>();

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The share of a body that begins. @param caller Whose body it is: the id of a key. */
  open(caller: string): BodyShare {
    let taken = 0;
    let seen = 0;
    let isOpen = true;
    return {
      take: (bytes) => {
        seen += bytes;
        const more = Math.max(0, seen - freeBytes) - taken;
        if (more === 0 || !isOpen) return true;
        const own = this.#callers.get(caller) ?? { bytes: 0, bodies: 0 };
        const isAlone = this.#bytes === taken;
        const isCallersOnly = own.bytes === taken;
        const fits =
          this.#bytes + more <= this.maxBytes && (isCallersOnly || own.bytes + more <= this.maxBytes / 2);
        if (!fits && !isAlone) return false;
        own.bytes += more;
        if (taken === 0) own.bodies += 1;
        this.#callers.set(caller, own);
        this.#bytes += more;
        taken += more;
        return true;
      },
      release: () => {
        if (!isOpen) return;
        isOpen = false;
        const own = this.#callers.get(caller);
        if (taken === 0 || own === undefined) return;
        this.#bytes -= taken;
        own.bytes -= taken;
        own.bodies -= 1;
        if (own.bodies === 0) this.#callers.delete(caller);
      },
    };
  }
}

export interface BodyShare {
  /** Counts bytes that have come; false: there is no room for them. */
  take(bytes: number): boolean;
  /** Gives back what was counted, once. */
  release(): void;
}

/**
 * Room for bodies in the memory that this process may use, bytes: parsed and encoded, a body takes several times its
 * length. 32 MiB of a container of 512 MiB.
 */
export function roomForBodies(): number {
  const limit = process.constrainedMemory();
  // Without a limit Node gives 0, or a number beyond all memory.
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return Math.floor(Math.min(memory / 16, getHeapStatistics().heap_size_limit / 8));
}
