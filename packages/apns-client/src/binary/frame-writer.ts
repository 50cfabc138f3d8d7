import { encodeKnownBadFrame, FrameEncoder, type NotificationCommand } from '@pushfleet/apns-wire';
import { ChunkPool } from '../socket/chunk-pool.ts';
import type { GatewaySocket } from '../socket/gateway-socket.ts';
import { WritesUnderWay } from '../socket/writes-under-way.ts';
import type { Clock } from '../transport/clock.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';
import type { WaitingSpans } from '../transport/waiting-spans.ts';
import { FlushedChunks } from './flushed-chunks.ts';
import type { InFlightWindow } from './in-flight-window.ts';
import type { Stretch } from './write-ahead.ts';

export interface FrameWriterOptions {
  readonly command: NotificationCommand;
  /** Frames written and not yet settled, at most. */
  readonly window: number;
  /** How much may be written before an answer is waited for. */
  readonly stretch: Stretch;
  readonly writeStallMs: number;
  readonly clock: Clock;
}

export interface FrameWriterEvents {
  /** There is room to write again. */
  progressed(): void;
  /** No write gets on: the gateway has stopped reading. */
  stalled(detail: string): void;
}

/** The sending side of a connection: enters frames into the window, writes them, and knows when the kernel took them. */
export class FrameWriter {
  readonly #socket: GatewaySocket;
  readonly #window: InFlightWindow;
  readonly #options: FrameWriterOptions;
  readonly #events: FrameWriterEvents;
  readonly #encoder: FrameEncoder;
  readonly #writes: WritesUnderWay;
  readonly #flushed = new FlushedChunks();
  #lastWriteMs: number;
  #isStopped = false;
  /** Set while it waits for an answer before it writes more. */
  #cancelWait: (() => void) | undefined;

  constructor(
    socket: GatewaySocket,
    window: InFlightWindow,
    options: FrameWriterOptions,
    events: FrameWriterEvents,
  ) {
    const { command, clock, writeStallMs } = options;
    this.#socket = socket;
    this.#window = window;
    this.#options = options;
    this.#events = events;
    this.#encoder = new FrameEncoder(command);
    this.#writes = new WritesUnderWay(clock, writeStallMs, (detail) => events.stalled(detail));
    this.#lastWriteMs = clock.now();
  }

  /** Whether `write` would take anything now. */
  get hasRoom(): boolean {
    return this.#writes.hasRoom && this.#room > 0;
  }

  /** The kernel has everything that was written. */
  get isFlushed(): boolean {
    return this.#writes.areFinished;
  }

  /** When something was last written, or the connection begun, by the clock's `now()`. */
  get lastWriteMs(): number {
    return this.#lastWriteMs;
  }

  /** When the kernel took the oldest unsettled chunk, by the clock's `now()`; undefined when there is none. */
  get oldestFlushMs(): number | undefined {
    return this.#flushed.oldestMs;
  }

  get #room(): number {
    const { window, stretch } = this.#options;
    return Math.min(window - this.#window.size, stretch.room);
  }

  /** Writes frames until a chunk is full, the window is full, or `spans` or `limit` are used up. Returns how many. */
  write(spans: WaitingSpans, limit: number): number {
    const { stretch, clock } = this.#options;
    const chunk = ChunkPool.take();
    stretch.poll(clock.now());
    const room = Math.min(this.#room, limit);
    let left = room;
    let length = 0;
    let span = spans.next();
    while (span !== undefined && left > 0) {
      const { run, from } = span;
      const to = Math.min(span.to, from + left);
      length = this.#encoder.encode(chunk, length, run.columns, from, to, this.#window.nextIdentifier);
      const { position } = this.#encoder;
      if (position > from) this.#window.add(run, from, position);
      left -= position - from;
      spans.written(position - from);
      span = spans.next();
      if (position < to) break;
    }
    if (length === 0) {
      ChunkPool.give(chunk);
      return 0;
    }
    stretch.written(room - left);
    this.#send(chunk, length);
    return room - left;
  }

  /** Writes the known-bad frame. Returns its identifier. Not for command 0. */
  writeKnownBad(command: 1 | 2): number {
    const identifier = this.#window.skip();
    const chunk = ChunkPool.take();
    this.#send(chunk, encodeKnownBadFrame(command, identifier).copy(chunk));
    return identifier;
  }

  /**
   * Takes what the kernel took `silenceMs` ago or longer out of the window. While a write has waited for half of that,
   * silence means nothing: the gateway does not read, so that what the kernel has may lie there as well. Returns how many.
   */
  takeSilent(silenceMs: number, take: (run: TrackedRun, from: number, to: number) => void): number {
    const now = this.#options.clock.now();
    if (!this.#writes.areFinished && this.#writes.waitedMs(now) >= silenceMs / 2) return 0;
    const identifier = this.#flushed.takeUntil(now - silenceMs);
    if (identifier === undefined) return 0;
    const before = this.#window.size;
    this.#window.takeBefore(identifier, take);
    return before - this.#window.size;
  }

  /** How long ago the kernel took a frame in flight, milliseconds; undefined when it is none, or is not taken yet. */
  lagOf(identifier: number): number | undefined {
    if (this.#window.locate(identifier) !== 'in-flight') return undefined;
    const flushedAtMs = this.#flushed.flushedAtMs(identifier);
    return flushedAtMs === undefined ? undefined : this.#options.clock.now() - flushedAtMs;
  }

  /** No event comes any more. */
  stop(): void {
    this.#isStopped = true;
    this.#writes.stop();
    this.#cancelWait?.();
  }

  #send(chunk: Buffer, length: number): void {
    const { clock, stretch } = this.#options;
    const identifier = this.#window.nextIdentifier;
    this.#lastWriteMs = clock.now();
    this.#writes.started();
    this.#socket.write(chunk, length, () => {
      if (this.#isStopped) return;
      this.#writes.finished();
      const now = clock.now();
      this.#flushed.add(identifier, now);
      stretch.flushed(now);
      this.#goOn();
    });
  }

  /** Asks for more; or, so that an answer that is on its way finds little behind it, writes nothing for a while. */
  #goOn(): void {
    const { clock, stretch } = this.#options;
    stretch.poll(clock.now());
    if (this.hasRoom) {
      this.#events.progressed();
      return;
    }
    const waitMs = this.#writes.areFinished ? stretch.waitMs(clock.now()) : 0;
    if (waitMs === 0) return;
    this.#cancelWait?.();
    this.#cancelWait = clock.after(waitMs, () => this.#goOn());
  }
}
