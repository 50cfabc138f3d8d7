import type { LaneQueue, TakenJob } from '@pushfleet/push-queue/worker';

export interface LaneFeedOptions {
  readonly queue: LaneQueue;
  /** Whether there is room for one more job, beside those that are being taken. */
  readonly mayTake: (beingTaken: number) => boolean;
  /** What is true before a job is taken; comes back with it. */
  readonly controlRings: () => number;
  readonly onTaken: (job: TakenJob, controlRings: number) => void;
  /** Something has changed: the app should look again at what it can do. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Jobs being taken at once, at most: what keeps a worker busy while Redis answers. No more come in one turn of the event
 * loop either: as long as a socket has something to read, Node.js goes on reading it, and everything else waits.
 */
const mostAtOnce = 4;
const retryPauseMs = 250;
/** Delayed jobs that are due later than this are found by the watch of all queues. */
const timerHorizonMs = 5_000;

/**
 * Takes the push jobs of one app and lane while there is room. Learns from the doorbell, from the watch of all queues
 * and from a timer for the next delayed job that there may be some; holds no connection and no timer while idle.
 */
export class LaneFeed {
  readonly #options: LaneFeedOptions;
  readonly #taking = new Set<Promise<void>>();
  #beingTaken = 0;
  #mayHaveMore = false;
  #rings = 0;
  #cameThisTurn = 0;
  /** How many may be taken at once now: rises while jobs come. */
  #atOnce = 1;
  #timer: NodeJS.Timeout | undefined;
  #isWaiting = false;
  #stopped = false;

  constructor(options: LaneFeedOptions) {
    this.#options = options;
  }

  /** Jobs that are being taken now. */
  get beingTaken(): number {
    return this.#beingTaken;
  }

  /** There may be a job. */
  ring(): void {
    this.#rings++;
    this.#mayHaveMore = true;
  }

  /** A delayed job is due at `atMs`, epoch milliseconds. */
  expectAt(atMs: number): void {
    const waitMs = atMs - Date.now();
    if (waitMs > timerHorizonMs || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.ring();
        this.#options.onChange();
      },
      Math.max(1, waitMs),
    );
  }

  feed(): void {
    while (
      this.#mayHaveMore &&
      !this.#isWaiting &&
      !this.#stopped &&
      this.#beingTaken + this.#cameThisTurn < this.#atOnce &&
      this.#options.mayTake(this.#beingTaken)
    ) {
      this.#beingTaken++;
      const taking = this.#take().finally(() => this.#taking.delete(taking));
      this.#taking.add(taking);
    }
  }

  /** Takes nothing any more; resolves when what was being taken has come. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#taking);
  }

  #countThisTurn(): void {
    if (this.#cameThisTurn++ > 0) return;
    setImmediate(() => {
      this.#cameThisTurn = 0;
      this.#options.onChange();
    });
  }

  async #take(): Promise<void> {
    const { queue, onTaken, onChange, onError } = this.#options;
    const rings = this.#rings;
    const controlRings = this.#options.controlRings();
    try {
      const result = await queue.take();
      this.#beingTaken--;
      if (result.kind === 'taken') {
        this.#atOnce = Math.min(mostAtOnce, this.#atOnce + 1);
        this.#countThisTurn();
        onTaken(result.job, controlRings);
      } else {
        // What rang meanwhile may have come after the look.
        if (rings === this.#rings) this.#mayHaveMore = false;
        this.#atOnce = 1;
        if (result.nextAtMs !== undefined) this.expectAt(result.nextAtMs);
      }
    } catch (error) {
      this.#beingTaken--;
      onError(error);
      this.#atOnce = 1;
      this.#isWaiting = true;
      setTimeout(
        () => {
          this.#isWaiting = false;
          onChange();
        },
        retryPauseMs * (0.5 + Math.random()),
      ).unref();
    }
    onChange();
  }
}
