import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import { Redis } from 'ioredis';
import { vi } from 'vitest';
import { Traffic } from './traffic.ts';

// Fifteen minutes in a second. Timers and clocks are vitest's, and jump from one timer to the next; sockets, files and
// Redis are real, and have all the turns of the event loop that they need before time goes on. So nothing that is timed
// waits for the machine, and nothing takes time but what says so.

const realSleep = timers.setTimeout;
const realNow = performance.now.bind(performance);

/** Commands that Redis has not answered. */
let unanswered = 0;
const sendCommand = Redis.prototype.sendCommand;

/** How many turns of the event loop without news mean that none is on its way. */
const quietTurns = 2;
/**
 * What is on its way for longer than so long waits for time to go on, milliseconds of real time. A look-up of a name
 * took more than a second on a machine with much to do.
 */
const longestWaitMs = 20_000;
/** How much time passes at once while something real is waited for, milliseconds. */
const slowStepMs = 10;
/** Requests of Node that end by themselves. */
const underWay = new Set(['GetAddrInfoReqWrap', 'FSReqCallback', 'FSReqPromise', 'SignRequest']);

export class VirtualTime {
  readonly traffic = new Traffic();
  #news = 0;
  readonly #startMs: number;

  constructor() {
    Redis.prototype.sendCommand = function (this: Redis, command, stream) {
      unanswered++;
      const answered = () => void unanswered--;
      command.promise.then(answered, answered);
      return sendCommand.call(this, command, stream);
    } as typeof sendCommand;
    vi.useFakeTimers({
      now: Date.now(),
      toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
    });
    timers.setTimeout = virtualSleep as typeof realSleep;
    syncBuiltinESMExports();
    this.#startMs = Date.now();
  }

  /** Milliseconds since the start. */
  get nowMs(): number {
    return Date.now() - this.#startMs;
  }

  /** Something came, went or happened: time stands still a little longer. */
  touch(): void {
    this.#news++;
  }

  /** Lets time pass until a promise is settled, slowly: what it waits for may be real. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let isPending = true;
    const settled = () => {
      isPending = false;
    };
    promise.then(settled, settled);
    while (isPending) {
      await this.until(this.nowMs + slowStepMs, () => !isPending);
      await realSleep(1);
    }
    return promise;
  }

  /** Lets time pass until then, or until the condition is true. */
  async until(ms: number, isDone: () => boolean = () => false): Promise<void> {
    // Time stops there, whatever the other timers are.
    const timer = setTimeout(() => undefined, Math.max(0, ms - this.nowMs));
    for (;;) {
      await this.#quiet();
      if (this.nowMs >= ms || isDone()) break;
      vi.advanceTimersToNextTimer();
    }
    clearTimeout(timer);
  }

  end(): void {
    vi.useRealTimers();
    timers.setTimeout = realSleep;
    syncBuiltinESMExports();
    Redis.prototype.sendCommand = sendCommand;
    this.traffic.end();
  }

  async #quiet(): Promise<void> {
    const startMs = realNow();
    let seen = this.#news;
    let turns = 0;
    for (let quiet = 0; quiet < quietTurns; turns++) {
      await new Promise((resolve) => setImmediate(resolve));
      const isBusy =
        unanswered > 0 ||
        this.#news !== seen ||
        this.traffic.isMoving ||
        process.getActiveResourcesInfo().some((name) => underWay.has(name));
      seen = this.#news;
      quiet = isBusy ? 0 : quiet + 1;
      if (realNow() - startMs > longestWaitMs) return;
      // Redis or the kernel may want the processor.
      if (isBusy && turns > 20) await realSleep(1);
    }
  }
}

/** `setTimeout` of `node:timers/promises`, which vitest leaves alone. */
function virtualSleep<T>(
  ms?: number,
  value?: T,
  options: { readonly signal?: AbortSignal } = {},
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    }, ms);
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
