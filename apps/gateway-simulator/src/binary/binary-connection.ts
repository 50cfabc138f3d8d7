import { ApnsWireError, NotificationDecoder } from '@pushfleet/apns-wire';
import type { ActiveRule } from '../faults/active-rule.ts';
import type { FaultBook } from '../faults/fault-book.ts';
import type { BinaryRule } from '../faults/fault-schema.ts';
import { ReadBrake } from '../faults/read-brake.ts';
import { ContentKey } from '../ledger/content-key.ts';
import type { AppLedger, Ledger } from '../ledger/ledger.ts';
import type { LoggedNotification, NotificationLog } from '../ledger/notification-log.ts';
import type { TokenSizes } from '../options.ts';
import type { GatewayLink } from '../tls/tls-port.ts';
import { BinaryFaults } from './binary-faults.ts';
import { Farewell, type FarewellOptions } from './farewell.ts';
import { checkFrame, errorPacket, status } from './frame-check.ts';

/** Command 0, whose errors are told by the close alone. */
const simpleCommand = 0;

export interface BinaryConnectionContext {
  readonly ledger: Ledger;
  readonly log: NotificationLog;
  readonly faults: FaultBook;
  readonly tokenSizes: TokenSizes;
  /** How long a client that has been told to go may stay, milliseconds. */
  readonly lingerMs: number;
}

interface PacketOptions extends FarewellOptions {
  /** Named instead of the right one. */
  readonly identifier?: number | undefined;
}

/**
 * One connection of the binary gateway (`docs/protocol/binary.md#silence`): takes notifications in silence until one
 * is bad, by itself or by rule; then answers with the error-response packet (command 0: with nothing), discards what
 * follows and closes.
 */
export class BinaryConnection {
  readonly #link: GatewayLink;
  readonly #app: AppLedger;
  readonly #log: NotificationLog;
  readonly #lingerMs: number;
  readonly #tokenSizes: TokenSizes;
  readonly #faults: BinaryFaults;
  readonly #brake: ReadBrake;
  readonly #decoder = new NotificationDecoder();
  readonly #content = new ContentKey();
  readonly #stopWatchingFaults: () => void;

  /** Set: nothing is taken any more. */
  #farewell: Farewell | undefined;
  /** Notifications taken or rejected. */
  #handled = 0;
  /** Of the last notification taken; 0 before the first. */
  #lastIdentifier = 0;
  #hasClientEnded = false;
  /** Nothing is sent back any more, not even the close. */
  #isMuted = false;
  /** Nothing can be read any more: the stream makes no sense, or the connection is gone. */
  #isOver = false;
  #payloadText: { readonly low: number; readonly high: number; readonly text: string } | undefined;

  constructor(link: GatewayLink, context: BinaryConnectionContext) {
    const { socket } = link;
    this.#link = link;
    this.#app = context.ledger.app(link.app);
    this.#log = context.log;
    this.#lingerMs = context.lingerMs;
    this.#tokenSizes = context.tokenSizes;
    this.#faults = new BinaryFaults(context.faults, link.number, link.app);
    this.#brake = new ReadBrake(socket, () => this.#readingReleased());
    this.#stopWatchingFaults = context.faults.onChange(() => this.#followFaults());
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('end', () => this.#clientEnded());
    socket.once('close', () => this.#closed());
    this.#disrupt();
  }

  #read(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#decoder.push(chunk);
    this.#readFrames();
    this.#brake.chunkRead(chunk.length);
  }

  #readFrames(): void {
    const decoder = this.#decoder;
    try {
      while (!this.#isOver && !this.#brake.isStopped && decoder.next()) {
        if (this.#farewell === undefined) this.#handle();
        else this.#discard(this.#farewell);
      }
    } catch (error) {
      if (!(error instanceof ApnsWireError)) throw error;
      this.#isOver = true;
      this.#fail(status.protocolError, 0, {});
    }
  }

  /** Takes or rejects the decoder's frame. The hot path: without rules nothing is allocated. */
  #handle(): void {
    const frame = this.#decoder;
    const content = this.#content;
    content.read(frame.bytes, frame.tokenStart, frame.tokenLength, frame.payloadStart, frame.payloadLength);
    const isScripted = !this.#faults.isQuiet;
    const defect = checkFrame(frame, this.#tokenSizes);
    if (defect !== undefined) {
      if (isScripted && this.#faults.passesOver(this.#handled, frame, content)) this.#passOver();
      else this.#reject(defect, {});
      return;
    }
    if (isScripted) {
      const rejection = this.#faults.rejection(this.#handled, frame, content);
      if (rejection !== undefined) {
        this.#reject(rejection.status, rejection);
        return;
      }
    }
    const duplicate = this.#app.take(content.low, content.high);
    this.#handled += 1;
    this.#lastIdentifier = frame.identifier;
    if (this.#log.isOpen) this.#record({ outcome: 'received', duplicate });
    if (isScripted) this.#disrupt(frame);
  }

  #reject(code: number, options: PacketOptions): void {
    this.#handled += 1;
    this.#app.counts.rejected += 1;
    if (this.#log.isOpen) this.#record({ outcome: 'rejected', status: code });
    if (this.#decoder.command === simpleCommand) this.#leave(undefined, options);
    else this.#fail(code, this.#decoder.identifier, options);
  }

  /** A bad frame is dropped without an answer, and the connection goes on. */
  #passOver(): void {
    this.#handled += 1;
    this.#app.counts.discarded += 1;
    if (this.#log.isOpen) this.#record({ outcome: 'discarded' });
  }

  #discard(farewell: Farewell): void {
    const { bytes, tokenStart, tokenLength, payloadStart, payloadLength } = this.#decoder;
    this.#app.counts.discarded += 1;
    if (this.#log.isOpen) {
      this.#content.read(bytes, tokenStart, tokenLength, payloadStart, payloadLength);
      this.#record({ outcome: 'discarded' });
    }
    farewell.frameDiscarded();
  }

  /** Lets the rules whose turn it is do their work, after a notification or because the rules have changed. */
  #disrupt(notification?: NotificationDecoder): void {
    for (const rule of this.#faults.disruptions(this.#handled, notification, this.#content))
      this.#apply(rule);
  }

  #apply(active: ActiveRule<BinaryRule>): void {
    const { action } = active.rule;
    switch (action.kind) {
      case 'shutdown':
        this.#fail(status.shutdown, this.#lastIdentifier, action);
        break;
      case 'close':
        this.#leave(undefined, {});
        break;
      case 'reset':
        this.#isOver = true;
        this.#link.reset();
        break;
      case 'stopReading':
        this.#brake.stop(active);
        break;
      case 'slowReading':
        this.#brake.slow(active, action.bytesPerSecond);
        break;
      case 'mute':
        this.#isMuted = true;
        break;
      case 'reject':
      case 'ignoreDefects':
      case 'refuse':
      case 'closePort':
        // Done elsewhere: with the notification, and at the port.
        break;
      default:
        action satisfies never;
    }
  }

  #fail(code: number, identifier: number, options: PacketOptions): void {
    this.#leave(errorPacket(code, options.identifier ?? identifier), options);
  }

  #leave(packet: Buffer | undefined, options: FarewellOptions): void {
    const { socket } = this.#link;
    this.#farewell ??= this.#isMuted
      ? new Farewell(socket, undefined, { delayFrames: Number.POSITIVE_INFINITY }, this.#lingerMs)
      : new Farewell(socket, packet, options, this.#lingerMs);
  }

  #followFaults(): void {
    this.#faults.refresh();
    this.#brake.releaseUnless((rule) => this.#faults.has(rule));
    if (this.#farewell === undefined) this.#disrupt();
  }

  #readingReleased(): void {
    this.#readFrames();
    if (this.#hasClientEnded) this.#clientEnded();
  }

  /** The client has closed its side: there is nothing more to come, and nothing to wait for. */
  #clientEnded(): void {
    this.#hasClientEnded = true;
    // One that does not read does not notice either; frames of before may wait in the decoder.
    if (this.#brake.isStopped) return;
    this.#leave(undefined, {});
    this.#farewell?.sayNow();
  }

  #closed(): void {
    this.#isOver = true;
    this.#stopWatchingFaults();
    this.#farewell?.dispose();
    this.#brake.dispose();
  }

  #record(result: Pick<LoggedNotification, 'outcome' | 'status' | 'duplicate'>): void {
    const { bytes, tokenStart, tokenLength, command, identifier, expiration, priority } = this.#decoder;
    this.#log.append({
      at: Date.now(),
      app: this.#link.app,
      transport: 'binary',
      connection: this.#link.number,
      command,
      token: Buffer.from(bytes.subarray(tokenStart, tokenStart + tokenLength)).toString('hex'),
      payload: this.#textOfPayload(),
      identifier,
      expiration,
      priority,
      ...result,
    });
  }

  /** One string for as long as the payload stays the same: a broadcast is logged without a copy of each. */
  #textOfPayload(): string {
    const { payloadLow: low, payloadHigh: high } = this.#content;
    if (this.#payloadText?.low !== low || this.#payloadText.high !== high) {
      const { bytes, payloadStart, payloadLength } = this.#decoder;
      const text = Buffer.from(bytes.subarray(payloadStart, payloadStart + payloadLength)).toString('utf8');
      this.#payloadText = { low, high, text };
    }
    return this.#payloadText.text;
  }
}
