import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Http2Action } from '../faults/fault-schema.ts';
import type { FrameGate } from './frame-gate.ts';

type GoAwayAction = Extract<Http2Action, { kind: 'goaway' }>;

/** GOAWAY, RFC 9113 section 6.8. */
const goAwayType = 7;

/** Says GOAWAY on a connection, and sees it through: which streams are answered still, and when it closes. */
export class GoAway {
  readonly #session: ServerHttp2Session;
  readonly #gate: FrameGate;
  readonly #lingerMs: number;
  /** Streams that are open. */
  #open = 0;
  /** The highest stream that has been taken or answered. */
  #lastSettledId = 0;
  #lastStreamId = 0;
  /** Set: streams above it are ignored. */
  #limit = Number.POSITIVE_INFINITY;
  #answersOthers = true;
  #isClosing = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(session: ServerHttp2Session, gate: FrameGate, lingerMs: number) {
    this.#session = session;
    this.#gate = gate;
    this.#lingerMs = lingerMs;
  }

  /** To be called with every stream. */
  opened(stream: ServerHttp2Stream): void {
    this.#open += 1;
    this.#lastStreamId = stream.id ?? this.#lastStreamId;
    stream.once('close', () => {
      this.#open -= 1;
      this.#closeIfDone();
    });
  }

  /** To be called with every stream that is taken or answered: no GOAWAY may declare it unprocessed afterwards. */
  settled(stream: ServerHttp2Stream): void {
    this.#lastSettledId = Math.max(this.#lastSettledId, stream.id ?? 0);
  }

  /** Whether a stream is answered that is open still. */
  answers(stream: ServerHttp2Stream): boolean {
    return this.#answersOthers && (stream.id ?? 0) <= this.#limit;
  }

  say(action: GoAwayAction): void {
    const { reason, code, streamsBack = 0 } = action;
    const wanted = action.lastStreamId ?? this.#lastStreamId - 2 * streamsBack;
    const last = Math.min(this.#limit, Math.max(wanted, this.#lastSettledId));
    const data = Buffer.from(reason === undefined ? '' : JSON.stringify({ reason, timestamp: Date.now() }));
    this.#limit = last;
    if (!action.answers) this.#answersOthers = false;
    // Node.js takes 0 for "the last one that came".
    if (last === 0) this.#gate.writeLast(encodeGoAway(0, code, data));
    else this.#session.goaway(code, last, data);
    if (!action.closes) return;
    this.#isClosing = true;
    this.#linger ??= setTimeout(() => this.#gate.destroy(), this.#lingerMs);
    this.#closeIfDone();
  }

  /** To be called when the connection is gone. */
  dispose(): void {
    clearTimeout(this.#linger);
  }

  #closeIfDone(): void {
    // With nothing to wait for, streams that are open stay without an answer.
    const isDone = this.#open === 0 || this.#limit === 0 || !this.#answersOthers;
    if (!this.#isClosing || !isDone) return;
    this.#isClosing = false;
    // What the session has to say goes out at the end of this turn; its own GOAWAY must not follow ours.
    setImmediate(() => this.#gate.shut());
  }
}

function encodeGoAway(lastStreamId: number, code: number, data: Buffer): Buffer {
  const frame = Buffer.alloc(17 + data.length);
  frame.writeUIntBE(8 + data.length, 0, 3);
  frame[3] = goAwayType;
  frame.writeUInt32BE(lastStreamId, 9);
  frame.writeUInt32BE(code, 13);
  data.copy(frame, 17);
  return frame;
}
