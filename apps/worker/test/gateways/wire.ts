import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { VirtualTime } from './virtual-time.ts';

/** Between Node's HTTP/2 and the TLS socket: what happens to bytes on their way. */
export class Wire extends Duplex {
  readonly #socket: TLSSocket;
  readonly #time: VirtualTime;
  /** What the gateway writes gets lost. */
  returnIsDead = false;

  constructor(socket: TLSSocket, time: VirtualTime) {
    super();
    this.#socket = socket;
    this.#time = time;
    socket.on('data', (chunk: Buffer) => {
      time.touch();
      this.push(chunk);
    });
    socket.on('end', () => {
      time.touch();
      this.push(null);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      time.touch();
      this.destroy();
    });
  }

  /** Writes bytes that Node's HTTP/2 knows nothing of. */
  inject(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The connection ends without a word. */
  hangUp(): void {
    this.#socket.destroy();
  }

  override _read(): void {
    // All that comes is pushed at once: it is little.
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#time.touch();
    if (this.returnIsDead || this.#socket.destroyed) done();
    else this.#socket.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    if (!this.returnIsDead) this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.returnIsDead) this.#socket.destroy();
    done(error);
  }
}
