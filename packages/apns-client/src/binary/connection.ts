import { ErrorResponseDecoder, unknownIdentifier } from '@pushfleet/apns-wire';
import type { GatewaySocket } from '../socket/gateway-socket.ts';
import { connectionEndOf, describeError } from '../socket/node-error.ts';
import type { Connection } from '../transport/connections.ts';
import { countOf } from '../transport/span.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';
import type { ConnectionEnd, ConnectionFigures } from '../transport/transport.ts';
import type { WaitingSpans } from '../transport/waiting-spans.ts';
import { type BinaryClosure, settleByAnswer } from './closure.ts';
import { FrameWriter } from './frame-writer.ts';
import { InFlightWindow } from './in-flight-window.ts';
import type { BinaryConnectionOptions } from './options.ts';

// One connection of the binary protocol and its in-flight window (docs/lifecycles/connection.md):
//
//   connecting ──▶ silent ──▶ open ◀──▶ retiring
//                    └────┬────┴───┬──────┘
//                         ▼        ▼
//                      leaving ─▶ listening ──▶ closed    every state ──▶ closed
//
// - silent: TLS is up, and nothing is written until it is clear that the gateway takes our certificate.
// - open: frames are written; the gateway is silent while all goes well.
// - retiring: takes no more frames, and waits for its successor to open.
// - leaving: a known-bad frame was written last, and its error response will prove everything before it. With
//   command 0, which has no answers, silence settles what is left.
// - listening: a write failed. Reading goes on for a moment, because the error response that explains it may still
//   be on its way (`docs/protocol/binary.md#late-errors`).
// - closed: everything in the window has been handed back, exactly once.
//
// The connection never decides what becomes of what it hands back: its owner does.

/** What a connection tells its owner. `ended` comes exactly once, last. */
export interface BinaryConnectionEvents {
  /** The handshake is done, and the connection silent: the owner says what it is to do. */
  opened(connection: BinaryConnection): void;
  /** It has kept the silence that `serveAfter` asked for, and is open. */
  trusted(connection: BinaryConnection): void;
  /** Bytes have gone out, or an answer has been waited for: there is room to write again. */
  progressed(connection: BinaryConnection): void;
  ended(connection: BinaryConnection, closure: BinaryClosure): void;
}

type State =
  | { readonly kind: 'connecting'; readonly cancelTimer: () => void }
  | { readonly kind: 'silent'; readonly cancelTimer?: () => void }
  | { readonly kind: 'open' | 'retiring'; readonly cancelTimer?: undefined }
  | { readonly kind: 'leaving'; readonly end: ConnectionEnd; readonly cancelTimer: () => void }
  | {
      readonly kind: 'listening';
      readonly detail: string;
      readonly wasSilent: boolean;
      readonly cancelTimer: () => void;
    }
  | { readonly kind: 'closed'; readonly cancelTimer?: undefined };

const nothing: Pick<BinaryClosure, 'proved' | 'unprocessed'> = { proved: [], unprocessed: [] };

export class BinaryConnection implements Connection {
  readonly id: string;
  readonly window: InFlightWindow;

  readonly #options: BinaryConnectionOptions;
  readonly #events: BinaryConnectionEvents;
  readonly #socket: GatewaySocket;
  readonly #writer: FrameWriter;
  readonly #startedMs: number;
  #openedMs: number | undefined;
  readonly #responses = new ErrorResponseDecoder();
  #state: State;
  #isResumed = false;
  /** Frames that silence has settled. A proof would end the connection: none has been proved since. */
  #presumed = 0;
  /** Set once the known-bad frame has been written. */
  #proof: { readonly knownBad: number; readonly provedEnd: ConnectionEnd } | undefined;

  constructor(options: BinaryConnectionOptions, events: BinaryConnectionEvents) {
    this.id = options.id;
    this.window = new InFlightWindow(options.firstIdentifier);
    this.#startedMs = options.clock.now();
    this.#options = options;
    this.#events = events;
    const { clock, connectTimeoutMs } = options;
    const cancelTimer = clock.after(connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${connectTimeoutMs} ms`),
    );
    this.#state = { kind: 'connecting', cancelTimer };
    this.#socket = options.openSocket(options, {
      opened: (resumed) => this.#becomeOpen(resumed),
      received: (bytes) => this.#receive(bytes),
      writeFailed: (error) => this.#listen(describeError(error)),
      ended: () => this.#gatewayLeft('gateway-closed', 'the gateway closed the connection without a word'),
      failed: (error) => this.#gatewayLeft(connectionEndOf(error), describeError(error)),
    });
    this.#writer = new FrameWriter(this.#socket, this.window, options, {
      progressed: () => {
        if (this.#state.kind === 'open') this.#events.progressed(this);
      },
      stalled: (detail) => this.#close('write-stalled', detail),
    });
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** Whether it took up an earlier TLS session. */
  get isResumed(): boolean {
    return this.#isResumed;
  }

  get figures(): ConnectionFigures {
    return {
      id: this.id,
      state: this.state,
      roundTripMs: undefined,
      streams: this.inFlight,
      streamsAllowed: this.#options.window,
      windowBytes: undefined,
    };
  }

  /** The gateway is there, and the connection has not begun to end. */
  get isOpen(): boolean {
    const { kind } = this.#state;
    return kind === 'silent' || kind === 'open' || kind === 'retiring';
  }

  /** It may come to serve: it is on its way, or not trusted yet. */
  get isComing(): boolean {
    return this.#state.kind === 'connecting' || this.#state.kind === 'silent';
  }

  get inFlight(): number {
    return this.window.size;
  }

  /** When the handshake was done, by the clock's `now()`; undefined: not yet. */
  get openedMs(): number | undefined {
    return this.#openedMs;
  }

  /** How long the look-up and the handshake took, milliseconds; 0 while they are not done. */
  get handshakeMs(): number {
    return this.#openedMs === undefined ? 0 : this.#openedMs - this.#startedMs;
  }

  /** When something was last written, or the connection begun, by the clock's `now()`. */
  get lastWriteMs(): number {
    return this.#writer.lastWriteMs;
  }

  /** Whether `write` would take anything now. */
  get isWritable(): boolean {
    return this.#state.kind === 'open' && this.#writer.hasRoom;
  }

  /** The kernel has everything that was written. */
  get isFlushed(): boolean {
    return this.#writer.isFlushed;
  }

  /** Frames that silence has settled. */
  get presumed(): number {
    return this.#presumed;
  }

  /** When the kernel took the oldest unsettled chunk, by the clock's `now()`; undefined when there is none. */
  get oldestFlushMs(): number | undefined {
    return this.#writer.oldestFlushMs;
  }

  /** Writes frames until a chunk is full, the window is full, or `spans` or `limit` are used up. Returns how many. */
  write(spans: WaitingSpans, limit = Number.POSITIVE_INFINITY): number {
    return this.#writer.write(spans, limit);
  }

  /** Takes what silence of `silenceMs` settles out of the window (`FrameWriter.takeSilent`). */
  takeSilent(silenceMs: number, take: (run: TrackedRun, from: number, to: number) => void): void {
    const state = this.#state;
    // The answer to a known-bad frame says more than silence.
    if (this.#proof !== undefined || (!this.isOpen && state.kind !== 'leaving')) return;
    this.#presumed += this.#writer.takeSilent(silenceMs, take);
    if (state.kind === 'leaving' && this.window.size === 0) this.#close(state.end, 'silence');
  }

  /** Takes frames from now on. */
  serve(): void {
    const { kind, cancelTimer } = this.#state;
    if (kind !== 'silent' && kind !== 'retiring') return;
    cancelTimer?.();
    this.#state = { kind: 'open' };
  }

  /** Takes frames once the gateway has left it open for `silenceMs`. */
  serveAfter(silenceMs: number): void {
    if (this.#state.kind !== 'silent') return;
    const cancelTimer = this.#options.clock.after(silenceMs, () => {
      this.serve();
      this.#events.trusted(this);
    });
    this.#state = { kind: 'silent', cancelTimer };
  }

  /** Takes no more frames, until it is told to serve again or to leave. */
  retire(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'retiring' };
  }

  /**
   * Takes no more frames, and ends with a proof: writes the known-bad frame, whose answer proves everything before it
   * (`docs/protocol/binary.md#known-bad-frame`). What is unproved after `deadlineMs` is uncertain. What silence has
   * settled is asked for, too: without an answer it stays accepted, and is counted. Command 0 has no answers: there
   * the deadline is one for silence.
   */
  leave(end: ConnectionEnd, deadlineMs: number): void {
    if (this.#state.kind === 'connecting') this.#close(end, 'not needed any more');
    if (!this.isOpen) return;
    const { command } = this.#options;
    if (this.window.size === 0 && (this.#presumed === 0 || command === 0)) {
      this.#close(end, 'nothing in flight');
      return;
    }
    this.#prove(end, deadlineMs);
  }

  /** Asks whether the gateway answers at all: leaves with the known-bad frame and nothing else. Not for command 0. */
  probe(end: ConnectionEnd, deadlineMs: number): void {
    if (this.isOpen) this.#prove(end, deadlineMs);
  }

  #prove(end: ConnectionEnd, deadlineMs: number): void {
    const { command, clock } = this.#options;
    this.#state.cancelTimer?.();
    if (command !== 0) {
      this.#proof = { knownBad: this.#writer.writeKnownBad(command), provedEnd: end };
    }
    const cancelTimer = clock.after(deadlineMs, () =>
      this.#close('proof-timeout', `no proof within ${deadlineMs} ms`),
    );
    this.#state = { kind: 'leaving', end, cancelTimer };
  }

  /** Closes at once; what is unsettled is uncertain. */
  destroy(end: ConnectionEnd): void {
    this.#close(end, 'destroyed');
  }

  #becomeOpen(isResumed: boolean): void {
    if (this.#state.kind !== 'connecting') return;
    this.#state.cancelTimer();
    this.#state = { kind: 'silent' };
    this.#isResumed = isResumed;
    this.#openedMs = this.#options.clock.now();
    this.#options.stretch.opened(this.handshakeMs);
    this.#events.opened(this);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state.kind === 'closed') return;
    try {
      const response = this.#responses.push(bytes);
      if (response === undefined) return;
      const lagMs = this.#writer.lagOf(response.identifier);
      const closure = settleByAnswer(this.window, response, {
        knownBad: unknownIdentifier,
        provedEnd: 'drained',
        shutdownIdentifier: this.#options.shutdownIdentifier,
        ...this.#proof,
      });
      this.#close(closure.end, closure.detail, { ...closure, ...(lagMs === undefined ? {} : { lagMs }) });
    } catch (error) {
      this.#close('protocol-violation', describeError(error));
    }
  }

  #gatewayLeft(end: ConnectionEnd, detail: string): void {
    const state = this.#state;
    if (state.kind === 'listening') this.#close('write-error', state.detail);
    else if (state.kind !== 'connecting') this.#close(end, detail);
    else {
      const isAboutTls = end === 'tls-failed' || end === 'credential-refused';
      this.#close(isAboutTls ? end : 'connect-failed', detail);
    }
  }

  #listen(detail: string): void {
    const state = this.#state;
    if (!this.isOpen && state.kind !== 'leaving') return;
    state.cancelTimer?.();
    const { clock, errorGraceMs } = this.#options;
    const cancelTimer = clock.after(errorGraceMs, () => this.#close('write-error', detail));
    this.#state = { kind: 'listening', detail, wasSilent: state.kind === 'silent', cancelTimer };
  }

  /** The one way into `closed`: hands back everything that is in the window, once. */
  #close(
    end: ConnectionEnd,
    detail: string,
    derived: Pick<BinaryClosure, 'answer' | 'proved' | 'named' | 'unprocessed' | 'lagMs'> = nothing,
  ): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    state.cancelTimer?.();
    this.#writer.stop();
    this.#state = { kind: 'closed' };
    // Nothing more is read or written; a late packet could only speak of what has been handed back.
    this.#socket.destroy();
    const isUnanswered = this.#proof !== undefined && derived.answer?.understood !== true;
    const unconfirmed = isUnanswered ? this.#presumed : 0;
    const uncertain = this.window.takeAll();
    const settled = this.#presumed + countOf(derived.proved);
    this.#events.ended(this, {
      ...derived,
      end,
      detail,
      livedMs: this.#openedMs === undefined ? 0 : this.#options.clock.now() - this.#openedMs,
      wasSilent: state.kind === 'silent' || (state.kind === 'listening' && state.wasSilent),
      uncertain,
      unconfirmed,
      settled,
    });
  }
}
