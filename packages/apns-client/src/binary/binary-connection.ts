import { isIP } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import {
  type ErrorResponse,
  ErrorResponseDecoder,
  ErrorStatus,
  encodeKnownBadFrame,
  FrameEncoder,
  unknownIdentifier,
} from '@pushfleet/apns-wire';
import { connectionEndOf, describeError } from '../node-error.ts';
import type { ConnectionEnd, NotificationRun } from '../transport.ts';
import { ChunkPool } from './chunk-pool.ts';
import type { BinaryConnectionOptions } from './connection-options.ts';
import { InFlightWindow } from './in-flight-window.ts';
import type { Span } from './span.ts';
import { type StatusMeaning, statusMeaning } from './status-policy.ts';

// One TLS connection of the binary protocol and its in-flight window.
//
//   connecting ──▶ open ──▶ proving ──▶ closed
//        │          │ ▲        │          ▲
//        │          ▼ │        ▼          │
//        └────────▶ (half: writing failed, still reading) ──▶ closed
//
// - open: frames are written; the gateway is silent while all goes well.
// - proving: a known-bad frame was written last; its error response proves everything before it.
// - half: a write failed, or the gateway ended its side. Reading goes on for a moment, because the error response
//   that explains it may still be on its way (PROTOCOL section 1).
// - closed: everything in the window has been handed back, exactly once.
//
// The connection never decides what becomes of what it hands back: the transport does.

/** What a connection tells its transport. `ended` comes exactly once, last. */
export interface BinaryConnectionEvents {
  opened(connection: BinaryConnection): void;
  /** There is room to write again. */
  writable(connection: BinaryConnection): void;
  /** Taken by the gateway, proved. */
  proved(run: NotificationRun, from: number, to: number): void;
  /** The frame that an error response names, and what the status means for it. */
  named(run: NotificationRun, position: number, meaning: StatusMeaning, status: number): void;
  errorResponse(
    connection: BinaryConnection,
    response: ErrorResponse,
    located: 'in-flight' | 'settled' | 'unknown',
  ): void;
  ended(connection: BinaryConnection, end: BinaryConnectionClosure): void;
}

export interface BinaryConnectionClosure {
  readonly end: ConnectionEnd;
  readonly detail: string;
  /** Discarded by the gateway: to be sent again, before anything newer. In order. */
  readonly unprocessed: readonly Span[];
  /** Nobody can know. In order. */
  readonly uncertain: readonly Span[];
  /** Whether the connection ever opened, and whether anything was written on it. */
  readonly opened: boolean;
  readonly wrote: boolean;
}

type State =
  | { readonly kind: 'connecting'; readonly cancelTimer: () => void }
  | { readonly kind: 'open'; readonly sinceMs: number }
  | {
      readonly kind: 'proving';
      readonly knownBad: number;
      readonly end: ConnectionEnd;
      readonly cancelTimer: () => void;
    }
  | {
      readonly kind: 'half';
      readonly knownBad: number;
      readonly end: ConnectionEnd;
      readonly detail: string;
      readonly cancelTimer: () => void;
    }
  | { readonly kind: 'closed' };

/** Chunks under way at a time: one in the kernel's hands, one behind it, so that the socket never runs dry. */
const chunksUnderWay = 2;

export class BinaryConnection {
  readonly id: string;
  readonly window = new InFlightWindow();
  /** When the socket last took something, epoch ms. */
  lastWriteMs: number;

  readonly #options: BinaryConnectionOptions;
  readonly #events: BinaryConnectionEvents;
  readonly #socket: TLSSocket;
  readonly #encoder: FrameEncoder;
  readonly #responses = new ErrorResponseDecoder();
  /** What the kernel has taken: the identifier after the last frame of a chunk, and when. Oldest first. */
  readonly #flushed: { identifier: number; atMs: number }[] = [];
  #state: State;
  #underWay = 0;
  #opened = false;
  #wrote = false;
  #cancelStall: (() => void) | undefined;

  constructor(options: BinaryConnectionOptions, events: BinaryConnectionEvents) {
    this.id = options.id;
    this.#options = options;
    this.#events = events;
    this.#encoder = new FrameEncoder(options.command);
    this.lastWriteMs = options.clock.now();
    this.#socket = connect({
      host: options.host,
      port: options.port,
      // An address is no name for SNI (RFC 6066 section 3), and is verified all the same.
      servername: isIP(options.serverName) === 0 ? options.serverName : '',
      checkServerIdentity: (_, certificate) => checkServerIdentity(options.serverName, certificate),
      secureContext: options.secureContext,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    });
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, options.keepAliveMs);
    const cancelTimer = options.clock.after(options.connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${options.connectTimeoutMs} ms`),
    );
    this.#state = { kind: 'connecting', cancelTimer };
    this.#keepReadingAfterWriteErrors();
    this.#socket.on('secureConnect', () => this.#becomeOpen());
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('end', () => this.#peerEnded());
    this.#socket.on('error', (error) => this.#socketFailed(error));
    this.#socket.on('close', () => this.#close(this.#opened ? 'gateway-closed' : 'connect-failed', 'closed'));
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  get isConnecting(): boolean {
    return this.#state.kind === 'connecting';
  }

  /** Whether `write` would take anything now. */
  get isWritable(): boolean {
    return (
      this.#state.kind === 'open' &&
      this.#underWay < chunksUnderWay &&
      this.window.size < this.#options.window
    );
  }

  /**
   * Writes frames from the front of `spans` until a chunk is full, the window is full or the spans are used up.
   * Gives how many whole spans were written and how many positions of the next one.
   */
  write(spans: { take(written: number): Span | undefined }): void {
    const chunk = ChunkPool.take();
    let room = this.#options.window - this.window.size;
    let length = 0;
    let span = spans.take(0);
    while (span !== undefined && room > 0) {
      const { run } = span;
      const to = Math.min(span.to, span.from + room);
      const next = this.#encoder.encode(
        chunk,
        length,
        run.columns,
        span.from,
        to,
        this.window.nextIdentifier,
      );
      const { position } = this.#encoder;
      const written = position - span.from;
      if (written > 0) this.window.add(run, span.from, position);
      length = next;
      room -= written;
      span = spans.take(written);
      if (position < to) break;
    }
    if (length === 0) ChunkPool.give(chunk);
    else this.#flush(chunk, length);
  }

  /** Takes what the kernel took before `deadlineMs` out of the window: silence since then. */
  takeSilentSince(deadlineMs: number, take: (run: NotificationRun, from: number, to: number) => void): void {
    let due = 0;
    while (due < this.#flushed.length && this.#flushed[due]!.atMs <= deadlineMs) due++;
    if (due === 0) return;
    const { identifier } = this.#flushed[due - 1]!;
    this.#flushed.splice(0, due);
    this.window.takeBefore(identifier, take);
  }

  /** When the oldest unsettled chunk was taken by the kernel, epoch ms; undefined when there is none. */
  get oldestFlushMs(): number | undefined {
    return this.#flushed[0]?.atMs;
  }

  /**
   * Ends the connection with a proof: writes the known-bad frame, whose answer proves everything before it
   * (PROTOCOL section 1). Without an answer in time, what is unproved is uncertain. Command 0 has no answers:
   * its connection just closes.
   */
  prove(end: ConnectionEnd, deadlineMs: number): void {
    if (this.#state.kind === 'connecting') this.#close(end, 'not needed any more');
    if (this.#state.kind !== 'open') return;
    const { command, clock } = this.#options;
    if (this.window.size === 0 && this.#underWay === 0) {
      this.#close(end, 'nothing to prove');
      return;
    }
    if (command === 0) {
      this.#close(end, 'command 0 cannot prove');
      return;
    }
    const knownBad = this.window.skip();
    this.#socket.write(encodeKnownBadFrame(command, knownBad));
    this.#state = {
      kind: 'proving',
      knownBad,
      end,
      cancelTimer: clock.after(deadlineMs, () =>
        this.#close('proof-timeout', 'the known-bad frame was not answered'),
      ),
    };
  }

  /** Closes at once; what is unsettled is uncertain. */
  destroy(end: ConnectionEnd): void {
    this.#close(end, 'destroyed');
  }

  #becomeOpen(): void {
    if (this.#state.kind !== 'connecting') return;
    this.#state.cancelTimer();
    this.#opened = true;
    this.#state = { kind: 'open', sinceMs: this.#options.clock.now() };
    this.#events.opened(this);
  }

  #flush(chunk: Buffer, length: number): void {
    const { clock, writeStallMs } = this.#options;
    const identifier = this.window.nextIdentifier;
    this.#underWay++;
    this.#wrote = true;
    this.lastWriteMs = clock.now();
    this.#cancelStall ??= clock.after(writeStallMs, () =>
      this.#close('write-stalled', `no write finished for ${writeStallMs} ms`),
    );
    this.#socket.write(length === chunk.length ? chunk : chunk.subarray(0, length), (error) => {
      ChunkPool.give(chunk);
      this.#underWay--;
      if (error != null || this.#state.kind === 'closed') return;
      this.#cancelStall?.();
      this.#cancelStall =
        this.#underWay === 0
          ? undefined
          : clock.after(writeStallMs, () =>
              this.#close('write-stalled', `no write finished for ${writeStallMs} ms`),
            );
      this.#flushed.push({ identifier, atMs: clock.now() });
      if (this.isWritable) this.#events.writable(this);
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#state.kind === 'closed') return;
    let response: ErrorResponse | undefined;
    try {
      response = this.#responses.push(chunk);
    } catch (error) {
      this.#close('protocol-violation', describeError(error));
      return;
    }
    if (response !== undefined) this.#settleBy(response);
  }

  /** An error response: the free confirmation of everything before the frame that it names. */
  #settleBy(response: ErrorResponse): void {
    const state = this.#state;
    const knownBad = state.kind === 'proving' || state.kind === 'half' ? state.knownBad : unknownIdentifier;
    const { status, identifier } = response;
    const proof =
      knownBad !== unknownIdentifier &&
      status === ErrorStatus.missingDeviceToken &&
      (identifier === knownBad || identifier === unknownIdentifier);
    const located = proof ? 'settled' : this.window.locate(identifier);
    this.#events.errorResponse(this, response, located);
    if (proof) {
      this.window.takeBefore(knownBad, this.#events.proved);
      this.#close(state.kind === 'proving' || state.kind === 'half' ? state.end : 'drained', 'proved');
      return;
    }
    if (located === 'unknown') {
      // Nothing can be derived: not even which frames came after.
      this.#close('error-response', `status ${status}, identifier ${identifier} is not one of ours`);
      return;
    }
    if (located === 'in-flight') {
      const meaning = statusMeaning(status, this.#options.shutdownIdentifier);
      this.window.takeBefore(identifier, this.#events.proved);
      this.window.takeOldest((run, position) => {
        if (meaning === 'accepted') this.#events.proved(run, position, position + 1);
        else this.#events.named(run, position, meaning, status);
      });
    }
    // Everything left in the window was written after the named frame: discarded by the gateway, safe to resend.
    this.#close('error-response', `status ${status}`, { discarded: true });
  }

  #peerEnded(): void {
    this.#becomeHalf('gateway-closed', 'the gateway closed the connection without a word');
  }

  #socketFailed(error: unknown): void {
    const end = this.#opened
      ? connectionEndOf(error)
      : this.#state.kind === 'connecting'
        ? connectFailureOf(error)
        : 'reset';
    this.#close(end, describeError(error));
  }

  /**
   * Node destroys a socket when a write on it fails, and with it what the gateway sent before it hung up. This
   * intercepts that one case, and goes on reading until the error response, the end, or a short deadline.
   */
  #keepReadingAfterWriteErrors(): void {
    const socket = this.#socket;
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error?: Error) => {
      const inWrite = error !== undefined && (error as NodeJS.ErrnoException).syscall === 'write';
      if (inWrite && (this.#state.kind === 'open' || this.#state.kind === 'proving')) {
        this.#becomeHalf('write-error', describeError(error));
        return socket;
      }
      if (inWrite && this.#state.kind === 'half') return socket;
      return destroy(error);
    };
  }

  #becomeHalf(end: ConnectionEnd, detail: string): void {
    const state = this.#state;
    if (state.kind !== 'open' && state.kind !== 'proving') {
      if (state.kind === 'connecting') this.#close('tls-failed', detail);
      return;
    }
    if (state.kind === 'proving') state.cancelTimer();
    this.#state = {
      kind: 'half',
      knownBad: state.kind === 'proving' ? state.knownBad : unknownIdentifier,
      end,
      detail,
      cancelTimer: this.#options.clock.after(this.#options.errorGraceMs, () => this.#close(end, detail)),
    };
  }

  /** The one way into `closed`: hands back everything that is in the window, once. */
  #close(end: ConnectionEnd, detail: string, how: { discarded: boolean } = { discarded: false }): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind !== 'open') state.cancelTimer();
    this.#cancelStall?.();
    this.#state = { kind: 'closed' };
    const spans = this.window.takeAll();
    // Nothing more is read or written; a late packet could only speak of what has been handed back.
    this.#socket.destroy();
    const [finalEnd, finalDetail] =
      state.kind === 'half' && end === 'gateway-closed' ? [state.end, state.detail] : [end, detail];
    this.#events.ended(this, {
      end: finalEnd,
      detail: finalDetail,
      unprocessed: how.discarded ? spans : [],
      uncertain: how.discarded ? [] : spans,
      opened: this.#opened,
      wrote: this.#wrote,
    });
  }
}

function connectFailureOf(error: unknown): ConnectionEnd {
  return connectionEndOf(error) === 'tls-failed' ? 'tls-failed' : 'connect-failed';
}
