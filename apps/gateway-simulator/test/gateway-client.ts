import { once } from 'node:events';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import {
  type BinaryNotification,
  Command,
  type ErrorResponse,
  ErrorResponseDecoder,
  encodeNotification,
} from '@pushfleet/apns-wire';

export interface ClientOptions {
  readonly port: number;
  readonly ca: string;
  /** Undefined: connects without a certificate. */
  readonly identity: { readonly cert: string; readonly key: string } | undefined;
  readonly maxVersion?: SecureVersion;
}

/** How the gateway ended a connection. */
export interface GatewayEnd {
  /** The error-response packet, when a whole one came. */
  readonly packet: ErrorResponse | undefined;
  readonly bytes: Buffer;
  /** Sizes of the chunks in which the bytes came. */
  readonly chunks: readonly number[];
  /** Code of the error that the socket ended with, such as ECONNRESET; undefined after a proper close. */
  readonly error: string | undefined;
}

/** A client of the binary gateway or the feedback service that writes what it is told and keeps what comes back. */
export class GatewayClient {
  readonly socket: TLSSocket;
  /** Settles when the connection is gone. */
  readonly ended: Promise<GatewayEnd>;
  readonly #chunks: Buffer[] = [];
  #error: NodeJS.ErrnoException | undefined;

  constructor({ port, ca, identity, maxVersion }: ClientOptions) {
    this.socket = connect({
      host: '127.0.0.1',
      port,
      ca,
      ...identity,
      ...(maxVersion === undefined ? {} : { maxVersion }),
    });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.socket.on('error', (error) => {
      this.#error = error;
    });
    this.ended = new Promise((resolve) => {
      this.socket.once('close', () => resolve(this.#end()));
    });
  }

  async connected(): Promise<this> {
    await once(this.socket, 'secureConnect');
    return this;
  }

  /** Bytes that have come so far. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Writes the frames as one write. */
  send(...frames: readonly (Buffer | BinaryNotification)[]): this {
    this.socket.write(
      Buffer.concat(frames.map((frame) => (Buffer.isBuffer(frame) ? frame : encodeNotification(frame)))),
    );
    return this;
  }

  /** Closes our side, and waits for the gateway to close its own. */
  async close(): Promise<GatewayEnd> {
    this.socket.end();
    return this.ended;
  }

  #end(): GatewayEnd {
    const bytes = this.received;
    const isPacket = bytes[0] === Command.errorResponse;
    return {
      packet: isPacket ? new ErrorResponseDecoder().push(bytes) : undefined,
      bytes,
      chunks: this.#chunks.map((chunk) => chunk.length),
      error: this.#error?.code,
    };
  }
}
