import { PushQueueError } from '../push-queue-error.ts';

/** Counts the bytes that wait to be written, and refuses more than there is room for. */
export class Backlog {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws `PushQueueError` `backpressure`. What is larger than all the room is let in when nothing else waits. */
  take(bytes: number): void {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) {
      throw new PushQueueError(
        'backpressure',
        `${this.#bytes} bytes wait to be written to Redis; ${this.#maxBytes} are allowed`,
      );
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}
