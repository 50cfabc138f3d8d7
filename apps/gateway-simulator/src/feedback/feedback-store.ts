import { encodeFeedbackTuple } from '@pushfleet/apns-wire';

export interface WaitingTuple {
  /** Hexadecimal. */
  readonly token: string;
  /** Epoch seconds. */
  readonly time: number;
}

/** Tuples that may wait, over all apps; each takes some 150 bytes. */
const maxWaitingTuples = 5_000_000;

/** More tuples are posted than may wait. */
export class FeedbackStoreFullError extends Error {
  override readonly name = 'FeedbackStoreFullError';
}

/** What the feedback service has to tell. Reading clears it (`docs/protocol/feedback.md#reading-clears-the-list`). */
export class FeedbackStore {
  /** Under an app's topic; under `undefined` what is for whoever asks first. */
  readonly #waiting = new Map<string | undefined, Buffer[]>();
  #count = 0;

  /** Tuples that nobody has read. */
  get count(): number {
    return this.#count;
  }

  /**
   * @param app Undefined: for whichever app asks first.
   * @throws FeedbackStoreFullError, and keeps none of them.
   */
  add(tuples: readonly WaitingTuple[], app: string | undefined): void {
    if (this.#count + tuples.length > maxWaitingTuples) {
      throw new FeedbackStoreFullError(
        `${this.#count} feedback tuples are waiting: with ${tuples.length} more there would be over ${maxWaitingTuples}`,
      );
    }
    const waiting = this.#waiting.get(app) ?? [];
    this.#waiting.set(app, waiting);
    for (const { token, time } of tuples) {
      waiting.push(encodeFeedbackTuple({ timestamp: time, token: Buffer.from(token, 'hex') }));
    }
    this.#count += tuples.length;
  }

  /** Takes the tuples of an app, encoded: nobody else gets them. */
  take(app: string): Buffer[] {
    const tuples = [...(this.#waiting.get(app) ?? []), ...(this.#waiting.get(undefined) ?? [])];
    this.#waiting.delete(app);
    this.#waiting.delete(undefined);
    this.#count -= tuples.length;
    return tuples;
  }

  /** Puts back what was taken and not sent, in front of what has come since. */
  putBack(tuples: readonly Buffer[], app: string): void {
    this.#waiting.set(app, [...tuples, ...(this.#waiting.get(app) ?? [])]);
    this.#count += tuples.length;
  }

  reset(): void {
    this.#waiting.clear();
    this.#count = 0;
  }
}
