import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** What waits for a reader, bytes; about four thousand lines. */
const usualMaxBytes = 1024 * 1024;

/** Between looks whether the reader reads again, milliseconds. */
const retryMs = 20;

/** Lines that were dropped in this process, for the metric. */
let dropped = 0;

export function droppedLines(): number {
  return dropped;
}

/**
 * Writes lines to a file descriptor at once, and never waits for whoever reads them: a pipe whose reader stands still
 * is full after 64 KiB, and would stop the process. What finds no room waits here, the newest of it up to a bound; how
 * many lines were dropped for it is said when the reader is back.
 */
export class LogOutput {
  readonly #fd: number;
  readonly #maxBytes: number;
  /** Whole lines, but for the first one, of which a part may have gone out. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isHeadCut = false;
  #droppedSince = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Makes the line that tells of dropped ones. */
  onDropped: ((lines: number) => void) | undefined;

  constructor(fd: number, maxBytes = usualMaxBytes) {
    this.#fd = withoutBlocking(fd);
    this.#maxBytes = maxBytes;
  }

  write(line: string): void {
    this.#waiting.push(Buffer.from(line));
    this.#waitingBytes += this.#waiting.at(-1)!.length;
    // Behind lines that wait there is no room either.
    if (this.#timer !== undefined) this.#keepWithinBounds();
    else if (!this.#writeWaiting()) this.#retryLater();
  }

  /** Before the process exits: waits so long for a reader that takes nothing, milliseconds, and no longer. */
  flushSync(patienceMs: number): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    let left = this.#waitingBytes;
    let deadlineMs = performance.now() + patienceMs;
    while (!this.#writeWaiting() && performance.now() < deadlineMs) {
      Atomics.wait(pause, 0, 0, retryMs);
      if (this.#waitingBytes < left) deadlineMs = performance.now() + patienceMs;
      left = this.#waitingBytes;
    }
  }

  /** False: something is left. */
  #writeWaiting(): boolean {
    while (this.#waiting.length > 0) {
      const line = this.#waiting[0]!;
      try {
        const written = writeSync(this.#fd, line);
        this.#waitingBytes -= written;
        this.#isHeadCut = written < line.length;
        if (this.#isHeadCut) this.#waiting[0] = line.subarray(written);
        else this.#waiting.shift();
      } catch {
        // EAGAIN: the reader stands still. EPIPE: it is gone, which is no reason to stop sending.
        return false;
      }
      if (!this.#isHeadCut) this.#reportDropped();
    }
    return true;
  }

  #reportDropped(): void {
    if (this.#droppedSince === 0) return;
    const lines = this.#droppedSince;
    this.#droppedSince = 0;
    const later = this.#waiting;
    this.#waiting = [];
    this.onDropped?.(lines);
    this.#waiting.push(...later);
  }

  #retryLater(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (!this.#writeWaiting()) this.#retryLater();
    }, retryMs);
    // The exit has its own way to wait.
    this.#timer.unref();
  }

  #keepWithinBounds(): void {
    while (this.#waitingBytes > this.#maxBytes) {
      const place = this.#isHeadCut ? 1 : 0;
      const [line] = this.#waiting.splice(place, 1);
      if (line === undefined) return;
      this.#waitingBytes -= line.length;
      this.#droppedSince += 1;
      dropped += 1;
    }
  }
}

/** Keep descriptors from blocking; held, since those would be closed with them. */
const holders: Socket[] = [];

/** A descriptor to write to that says EAGAIN where it would wait. Files and terminals are left as they are. */
function withoutBlocking(fd: number): number {
  try {
    const stat = fstatSync(fd);
    if (stat.isFIFO() && process.platform === 'linux') {
      // Opened anew, so that it stays as it is for others who hold the same pipe.
      return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    }
    if (stat.isFIFO() || stat.isSocket()) {
      const holder = new Socket({ fd, readable: false, writable: true });
      holder.on('error', () => undefined).unref();
      holders.push(holder);
    }
  } catch {
    // Then it is written to as it is.
  }
  return fd;
}
