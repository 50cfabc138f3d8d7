import type { TLSSocket } from 'node:tls';

export interface FarewellOptions {
  /** The packet goes out so much later, milliseconds; or, whichever is first: */
  readonly delayMs?: number | undefined;
  /** once so many more frames have been discarded. */
  readonly delayFrames?: number | undefined;
  /** Each byte of the packet in a write of its own, so many milliseconds apart. */
  readonly splitMs?: number | undefined;
}

/**
 * How our side of a connection ends: the packet, after its delay, and the close as one write; then the wait for the
 * client to close its side. Meanwhile the owner reads and discards what comes in: a close with unread data would reset
 * the connection, and the reset could overtake the packet. A client that stays longer than `lingerMs` is cut.
 */
export class Farewell {
  readonly #socket: TLSSocket;
  readonly #packet: Buffer | undefined;
  readonly #splitMs: number | undefined;
  readonly #lingerMs: number;
  #framesLeft: number;
  #isSaid = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param packet Undefined: a close without a word. */
  constructor(socket: TLSSocket, packet: Buffer | undefined, options: FarewellOptions, lingerMs: number) {
    this.#socket = socket;
    this.#packet = packet;
    this.#splitMs = options.splitMs;
    this.#lingerMs = lingerMs;
    const { delayMs, delayFrames } = options;
    this.#framesLeft = delayFrames ?? Number.POSITIVE_INFINITY;
    if (delayFrames === 0 || (delayMs === undefined && delayFrames === undefined)) this.sayNow();
    else if (delayMs !== undefined) this.#timer = setTimeout(() => this.sayNow(), delayMs);
  }

  frameDiscarded(): void {
    this.#framesLeft -= 1;
    if (this.#framesLeft === 0) this.sayNow();
  }

  /** Ends the delay: also when the client has closed its side, so that there is nothing more to wait for. */
  sayNow(): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    clearTimeout(this.#timer);
    if (this.#packet !== undefined && this.#splitMs !== undefined) {
      this.#writeByte(this.#packet, 0, this.#splitMs);
      return;
    }
    if (this.#packet === undefined) this.#socket.end();
    else this.#socket.end(this.#packet);
    this.#linger();
  }

  /** To be called when the connection is gone. */
  dispose(): void {
    this.#isSaid = true;
    clearTimeout(this.#timer);
  }

  #writeByte(packet: Buffer, at: number, splitMs: number): void {
    const byte = packet.subarray(at, at + 1);
    if (at + 1 === packet.length) {
      this.#socket.end(byte);
      this.#linger();
      return;
    }
    this.#socket.write(byte);
    this.#timer = setTimeout(() => this.#writeByte(packet, at + 1, splitMs), splitMs);
  }

  #linger(): void {
    this.#timer = setTimeout(() => this.#socket.destroy(), this.#lingerMs);
  }
}
