import type { Socket } from 'node:net';
import { type Random, randomInt } from '../generators.ts';
import type { CutMode, ToxicSet } from './toxics.ts';

/** Read ahead while chunks wait out their latency; then the source is paused. */
const readAheadBytes = 1 << 20;

/** One connection, as a pump sees it. */
export interface PumpConnection {
  /** Aborts when the connection ends. */
  readonly signal: AbortSignal;
  cut(how: CutMode): void;
}

interface Chunk {
  readonly bytes: Buffer;
  readonly arrivedAtMs: number;
}

/** Carries one direction of one connection, through the toxics that are set at each moment. */
export class StreamPump {
  /** Bytes passed on so far. */
  forwarded = 0;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #toxics: ToxicSet;
  readonly #connection: PumpConnection;
  readonly #random: Random;
  readonly #queue: Chunk[] = [];
  #queuedBytes = 0;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(
    source: Socket,
    sink: Socket,
    options: { toxics: ToxicSet; connection: PumpConnection; random: Random },
  ) {
    this.#source = source;
    this.#sink = sink;
    this.#toxics = options.toxics;
    this.#connection = options.connection;
    this.#random = options.random;
    source.on('data', (bytes: Buffer) => {
      this.#queue.push({ bytes, arrivedAtMs: performance.now() });
      this.#queuedBytes += bytes.length;
      if (this.#queuedBytes >= readAheadBytes) source.pause();
      this.#wake();
    });
    source.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
    options.connection.signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** Runs until the stream or the connection ends; never rejects. */
  async run(): Promise<void> {
    while (!this.#connection.signal.aborted) {
      await this.#stopReading();
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        await this.#pass(chunk);
        this.#queuedBytes -= chunk.bytes.length;
        if (this.#queuedBytes < readAheadBytes) this.#source.resume();
      } else if (this.#ended) {
        await this.#passEnd();
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** While `stop_reading` is set. */
  async #stopReading(): Promise<void> {
    while (this.#toxics.find('stop_reading') !== undefined && !this.#connection.signal.aborted) {
      this.#source.pause();
      await this.#toxics.change(this.#connection.signal);
    }
    if (this.#queuedBytes < readAheadBytes) this.#source.resume();
  }

  async #pass({ bytes, arrivedAtMs }: Chunk): Promise<void> {
    const latency = this.#toxics.find('latency');
    if (latency !== undefined) {
      const jitterMs = (this.#random() * 2 - 1) * (latency.jitterMs ?? 0);
      await this.#pause(arrivedAtMs + latency.latencyMs + jitterMs - performance.now());
    }
    let rest = bytes;
    while (rest.length > 0 && !this.#connection.signal.aborted) {
      await this.#stopReading();
      // A black hole swallows what is left; its own timer ends the connection.
      if (this.#toxics.find('timeout') !== undefined) return;
      const limit = this.#toxics.find('limit_data');
      const room = limit === undefined ? rest.length : Math.max(0, limit.bytes - this.forwarded);
      const piece = rest.subarray(0, Math.min(room, this.#pieceSize(rest.length)));
      rest = rest.subarray(piece.length);
      await this.#write(piece);
      if (limit !== undefined && this.forwarded >= limit.bytes) {
        this.#connection.cut(limit.how ?? 'close');
        return;
      }
      const slicer = this.#toxics.find('slicer');
      if (slicer?.delayMs !== undefined && rest.length > 0) await this.#pause(slicer.delayMs);
    }
  }

  /** What goes out in one write. */
  #pieceSize(available: number): number {
    const slicer = this.#toxics.find('slicer');
    // A narrow line is fed in tenths of a second.
    const narrow = this.#toxics.find('bandwidth');
    const atOnce = narrow === undefined ? available : Math.max(1, Math.floor(narrow.bytesPerSecond / 10));
    if (slicer === undefined) return Math.min(available, atOnce);
    const variation = slicer.sizeVariation ?? 0;
    const size = slicer.averageSize - variation + randomInt(this.#random, 2 * variation + 1);
    return Math.min(available, atOnce, Math.max(1, size));
  }

  async #write(piece: Buffer): Promise<void> {
    if (piece.length === 0 || !this.#sink.writable) return;
    const { signal } = this.#connection;
    const narrow = this.#toxics.find('bandwidth');
    if (narrow !== undefined) await this.#pause((piece.length / narrow.bytesPerSecond) * 1_000);
    if (signal.aborted) return;
    this.forwarded += piece.length;
    // The piece leaves before the next is looked at, so that a cut comes exactly behind it.
    // The callback comes with an error when the socket is destroyed first.
    await new Promise<void>((resolve) => {
      this.#sink.write(piece, () => resolve());
    });
  }

  async #passEnd(): Promise<void> {
    const slow = this.#toxics.find('slow_close');
    if (slow !== undefined) await this.#pause(slow.delayMs);
    if (!this.#connection.signal.aborted && this.#toxics.find('timeout') === undefined) this.#sink.end();
  }

  async #pause(durationMs: number): Promise<void> {
    const { signal } = this.#connection;
    if (durationMs <= 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', settle);
        resolve();
      };
      const timer = setTimeout(settle, durationMs);
      signal.addEventListener('abort', settle, { once: true });
    });
  }
}
