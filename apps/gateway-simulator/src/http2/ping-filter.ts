import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** RFC 9113: the preface, section 3.4; the frame header, section 4.1; PING, section 6.7. */
const prefaceLength = 24;
const frameHeaderLength = 9;
const pingType = 6;
const pingLength = 8;
const ackFlag = 1;

/**
 * Stands between a connection and the HTTP/2 server, which answers each PING by itself, and takes PINGs away. Costs
 * a look at every frame: only for connections that a rule is for.
 */
export class PingFilter extends Duplex {
  readonly #socket: TLSSocket;
  readonly #dropsPing: () => boolean;
  /** Bytes to pass on without a look: the preface, then the rest of a frame. */
  #passing = prefaceLength;
  /** The beginning of a frame header, or of a PING. */
  #kept: Buffer = Buffer.alloc(0);

  /** @param dropsPing Asked about each PING as it comes. */
  constructor(socket: TLSSocket, dropsPing: () => boolean) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#dropsPing = dropsPing;
    socket.on('data', (chunk: Buffer) => this.#filter(chunk));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, (error) => done(error));
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #filter(chunk: Buffer): void {
    let rest = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = Buffer.alloc(0);
    const passed: Buffer[] = [];
    while (rest.length > 0) {
      if (this.#passing > 0) {
        const part = rest.subarray(0, this.#passing);
        passed.push(part);
        this.#passing -= part.length;
        rest = rest.subarray(part.length);
        continue;
      }
      const isPing = rest.length > 4 && rest[3] === pingType && (rest[4]! & ackFlag) === 0;
      const wanted = isPing ? frameHeaderLength + pingLength : frameHeaderLength;
      if (rest.length < wanted) {
        this.#kept = Buffer.from(rest);
        break;
      }
      if (isPing && this.#dropsPing()) {
        rest = rest.subarray(wanted);
        continue;
      }
      this.#passing = frameHeaderLength + rest.readUIntBE(0, 3);
    }
    if (passed.length > 0 && !this.push(Buffer.concat(passed))) this.#socket.pause();
  }
}
