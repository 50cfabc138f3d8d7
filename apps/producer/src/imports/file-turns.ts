import { setTimeout as delay } from 'node:timers/promises';

/** How long files may keep the process from everything else at a stretch, milliseconds. */
const turnMs = 4;
/** Between two turns, of whichever files: a send needs several rounds of the event loop. */
const restMs = 8;

/** When the next file may have its turn. */
let freeAtMs = 0;

/**
 * Lets others have their turn while a file is read: it is else read, and refused line by line, in one go. All files of
 * a process together have a third of its time, one turn after another, however many there are.
 */
export class FileTurns {
  #sinceMs = performance.now();

  get isOver(): boolean {
    return performance.now() - this.#sinceMs > turnMs;
  }

  async next(): Promise<void> {
    if (!this.isOver) return;
    const nowMs = performance.now();
    freeAtMs = Math.max(freeAtMs, nowMs) + restMs;
    await delay(freeAtMs - nowMs);
    this.#sinceMs = performance.now();
  }
}
