import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** RFC 9113: the preface, section 3.4; the frame header, section 4.1; PING, section 6.7. */
const prefaceLength = 24;
const frameHeaderLength = 9;
const pingType = 6;
const pingLength = 8;
const ackFlag = 1;

export interface FrameGateOptions {
  /** How long a client may stay that has been told to go, or whose side is closed, milliseconds. */
  readonly lingerMs: number;
  /** Asked about each PING as it comes. */
  readonly dropsPing: () => boolean;
  /** Hears of every chunk from the client, after it has been passed on. */
  readonly onChunk: (bytes: number) => void;
}

/**
 * Stands between a connection and Node's HTTP/2 server, which answers each PING by itself and has
 * its own last words: here PINGs are taken away, and a frame of ours can be the last one.
 */
export class FrameGate extends Duplex {
  readonly #socket: TLSSocket;
  readonly #options: FrameGateOptions;
  /** Bytes to pass on without a look: the preface, then the rest of a frame. */
  #passing = prefaceLength;
  /** The beginning of a frame header, or of a PING. */
  #kept: Buffer = Buffer.alloc(0);
  /** The server has nothing more to say. */
  #isMuted = false;
  /** Nothing goes either way any more. */
  #isShut = false;
  /** Nothing is read for now. */
  #isHeld = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(socket: TLSSocket, options: FrameGateOptions) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#filter(chunk));
    socket.once('end', () => {
      this.push(null);
      // What came before is answered in this turn.
      setImmediate(() => this.shut());
    });
    socket.once('close', () => this.destroy());
  }

  /** Writes a frame past the server, after all that the server has written, and nothing of the server's after it. */
  writeLast(frame: Buffer): void {
    if (this.#isMuted) return;
    this.#isMuted = true;
    this.#socket.write(frame);
  }

  /** Nothing is written any more, not even a PING's answer; what comes in is passed on as before. */
  mute(): void {
    this.#isMuted = true;
  }

  /** Stops reading, until `release`. */
  hold(): void {
    this.#isHeld = true;
    this.#socket.pause();
  }

  release(): void {
    this.#isHeld = false;
    this.#socket.resume();
  }

  /** Closes our side without another word; what comes in is dropped, until the client closes its side or is cut. */
  shut(): void {
    if (this.#isShut || this.destroyed) return;
    this.#isShut = true;
    this.#isMuted = true;
    this.#socket.end();
    this.#socket.resume();
    this.#linger = setTimeout(() => this.#socket.destroy(), this.#options.lingerMs);
  }

  override _read(): void {
    if (!this.#isHeld) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#isMuted) done();
    else this.#socket.write(chunk, done);
  }

  /** The frames of a turn as one write: one TLS record instead of one for each. */
  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    if (this.#isMuted) done();
    else this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.shut();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#linger);
    this.#socket.destroy();
    done(error);
  }

  #filter(chunk: Buffer): void {
    if (this.#isShut) return;
    let rest = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = emptyBytes;
    let passed = 0;
    const parts: Buffer[] = [];
    while (passed < rest.length) {
      if (this.#passing > 0) {
        const length = Math.min(this.#passing, rest.length - passed);
        this.#passing -= length;
        passed += length;
        continue;
      }
      const left = rest.length - passed;
      const isPing = left > 4 && rest[passed + 3] === pingType && (rest[passed + 4]! & ackFlag) === 0;
      const wanted = isPing ? frameHeaderLength + pingLength : frameHeaderLength;
      if (left < wanted) {
        this.#kept = Buffer.from(rest.subarray(passed));
        rest = rest.subarray(0, passed);
        break;
      }
      if (isPing && this.#options.dropsPing()) {
        parts.push(rest.subarray(0, passed));
        rest = rest.subarray(passed + wanted);
        passed = 0;
        continue;
      }
      this.#passing = frameHeaderLength + rest.readUIntBE(passed, 3);
    }
    const bytes = parts.length === 0 ? rest : Buffer.concat([...parts, rest]);
    if (bytes.length > 0 && !this.push(bytes)) this.#socket.pause();
    this.#options.onChunk(chunk.length);
  }
}

const emptyBytes = Buffer.alloc(0);
