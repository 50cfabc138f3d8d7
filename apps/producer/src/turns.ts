import { setImmediate } from 'node:timers/promises';

/** How long a file or a large body may keep the process from everything else at a stretch, milliseconds. */
const turnMs = 2;
/** Rounds of the event loop between two turns, of whichever of them: a send needs as many. */
const rounds = 3;

/** Ends with the rest after the last turn that was asked for. */
let lastRest: Promise<void> = Promise.resolve();

/**
 * Lets others have their turn while a file or a large body is read: it is else read in one go. They have one turn after
 * another, however many there are, with rounds of the event loop between any two for everything else.
 */
export class Turns {
  #sinceMs = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#sinceMs > turnMs;
  }

  async next(): Promise<void> {
    if (!this.isOver) return;
    lastRest = lastRest.then(rest);
    await lastRest;
    this.#sinceMs = performance.now();
  }
}

async function rest(): Promise<void> {
  for (let round = 0; round < rounds; round++) await setImmediate();
}
