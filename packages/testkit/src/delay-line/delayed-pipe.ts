import type { Socket } from 'node:net';
import type { Wire } from './wire.ts';

/** `undefined` is the end of the stream. */
interface Piece {
  readonly chunk: Buffer | undefined;
  readonly arrivalMs: number;
}

/** Arrives now what is due within this time, milliseconds: timers come a little late, so the error evens out. */
const earlyMs = 0.5;

/** What has gone one way. */
export interface PipeFigures {
  bytes: number;
  /** Most bytes that were under way on one connection. */
  mostQueued: number;
}

export interface DelayedPipeOptions {
  readonly source: Socket;
  readonly sink: Socket;
  readonly wire: Wire;
  /** Bytes under way, at most: then the source is not read. */
  readonly maxBytes: number;
  /** Kept up to date. */
  readonly figures: PipeFigures;
  /** Has `flush` called soon, and until it says that nothing is under way. */
  readonly schedule: (pipe: DelayedPipe) => void;
}

/** One way of one connection: each chunk comes out when its wire says, in order. */
export class DelayedPipe {
  readonly #options: DelayedPipeOptions;
  #pieces: Piece[] = [];
  #head = 0;
  #queuedBytes = 0;
  #lastArrivalMs = 0;
  #isSourcePaused = false;
  /** The sink takes no more for now. */
  #isBlocked = false;

  constructor(options: DelayedPipeOptions) {
    this.#options = options;
    const { source, sink } = options;
    source.on('data', (chunk: Buffer) => this.#receive(chunk));
    source.on('end', () => this.#push(undefined));
    sink.on('drain', () => {
      this.#isBlocked = false;
      if (this.#queuedBytes === 0) this.#readOn();
      else options.schedule(this);
    });
  }

  /** Lets out what has arrived. Returns whether something is still under way that time will let out. */
  flush(nowMs: number): boolean {
    const { sink, wire } = this.#options;
    if (sink.destroyed) return false;
    if (wire.isStalled) return true;
    sink.cork();
    while (this.#head < this.#pieces.length && !this.#isBlocked) {
      const { chunk, arrivalMs } = this.#pieces[this.#head]!;
      if (arrivalMs > nowMs + earlyMs) break;
      this.#head++;
      this.#write(chunk);
    }
    sink.uncork();
    if (this.#head === this.#pieces.length || this.#head > 1_024) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#head = 0;
    }
    if (!this.#isBlocked && this.#queuedBytes < this.#options.maxBytes / 2) this.#readOn();
    return this.#pieces.length > 0 && !this.#isBlocked;
  }

  #receive(chunk: Buffer): void {
    if (this.#options.wire.isDirect && this.#pieces.length === 0) {
      this.#options.figures.bytes += chunk.length;
      if (!this.#options.sink.write(chunk)) {
        this.#isBlocked = true;
        this.#pause();
      }
    } else {
      this.#push(chunk);
    }
  }

  #push(chunk: Buffer | undefined): void {
    const { wire, figures, maxBytes, schedule } = this.#options;
    const bytes = chunk?.length ?? 0;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, wire.arrivalMs(bytes, performance.now()));
    this.#pieces.push({ chunk, arrivalMs: this.#lastArrivalMs });
    this.#queuedBytes += bytes;
    figures.mostQueued = Math.max(figures.mostQueued, this.#queuedBytes);
    if (this.#queuedBytes >= maxBytes) this.#pause();
    schedule(this);
  }

  #write(chunk: Buffer | undefined): void {
    const { sink, figures } = this.#options;
    if (chunk === undefined) {
      sink.end();
      return;
    }
    this.#queuedBytes -= chunk.length;
    figures.bytes += chunk.length;
    if (!sink.write(chunk)) this.#isBlocked = true;
  }

  #pause(): void {
    this.#isSourcePaused = true;
    this.#options.source.pause();
  }

  #readOn(): void {
    if (!this.#isSourcePaused) return;
    this.#isSourcePaused = false;
    this.#options.source.resume();
  }
}
