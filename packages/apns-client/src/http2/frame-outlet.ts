import { ChunkPool } from '../socket/chunk-pool.ts';
import type { FrameSocket } from '../socket/gateway-socket.ts';
import { WritesUnderWay } from '../socket/writes-under-way.ts';
import type { Clock } from '../transport/clock.ts';

/** What may wait in the socket: two chunks, and answers to PING and SETTINGS that the gateway does not read. */
const mostWaitingBytes = 1024 * 1024 + 2 * 128 * 1024;

export interface FrameOutletOptions {
  readonly clock: Clock;
  readonly writeStallMs: number;
  /** A chunk is out: there may be room for another. */
  readonly sent: () => void;
  readonly stalled: (detail: string) => void;
}

/** The way out of a connection: chunks of requests at once, all other frames of a turn together at its end. */
export class FrameOutlet {
  readonly #socket: FrameSocket;
  readonly #writes: WritesUnderWay;
  readonly #stalled: (detail: string) => void;
  readonly #sent: () => void;
  #waiting: Buffer[] = [];

  constructor(socket: FrameSocket, { clock, writeStallMs, sent, stalled }: FrameOutletOptions) {
    this.#socket = socket;
    this.#sent = sent;
    this.#stalled = stalled;
    this.#writes = new WritesUnderWay(clock, writeStallMs, stalled);
  }

  /** Whether another chunk may be sent now. */
  get hasRoom(): boolean {
    return this.#writes.hasRoom;
  }

  /** Sends the first `length` bytes of a chunk of the pool; says whether there are any. */
  send(chunk: Buffer, length: number): boolean {
    if (length === 0) {
      ChunkPool.give(chunk);
      return false;
    }
    this.#writes.started();
    this.#socket.write(chunk, length, () => {
      this.#writes.finished();
      this.#sent();
    });
    return true;
  }

  /** Queues a frame that is no request: it goes out at the end of the turn. */
  queue(frame: Buffer): void {
    this.#waiting.push(frame);
  }

  /** The end of a turn. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#socket.control(Buffer.concat(this.#waiting));
    this.#waiting = [];
    if (this.#socket.waitingBytes > mostWaitingBytes) {
      this.#stalled('the gateway does not read what it asks for');
    }
  }

  /** Closes at once. */
  destroy(): void {
    this.#writes.stop();
    this.#socket.destroy();
  }

  /** Closes after a last word. */
  end(lastWord: Buffer): void {
    this.#writes.stop();
    this.#socket.end(lastWord);
  }
}
