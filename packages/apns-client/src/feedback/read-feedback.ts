import type { OnReadOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { FeedbackDecoder, type FeedbackTuple } from '@pushfleet/apns-wire';
import { verifying } from '../socket/dial.ts';
import { connectionEndOf, describeError } from '../socket/node-error.ts';
import { sharedLookup } from '../socket/shared-lookup.ts';
import type { FeedbackEnd, FeedbackResult, ReadFeedbackOptions } from './options.ts';

// One connection to the feedback service (`docs/protocol/feedback.md#reading-clears-the-list`). Reading clears the
// list at the service, so no byte that has reached us may go astray: chunks come straight from the handle (`onread`)
// instead of through the stream's buffer, which Node discards when the connection breaks, and become tuples at once.

/** Decoded tuples that wait to be stored; beyond that the service is made to wait. */
const maxWaitingTuples = 50_000;
const readBufferBytes = 64 * 1_024;
const maxRemainderBytes = 64 * 1_024;

/** Reads what the feedback service has. Everything that can go wrong is a result; throws only what `onTuples` throws. */
export async function readFeedback(options: ReadFeedbackOptions): Promise<FeedbackEnd> {
  const reading = new Reading(options);
  try {
    return await reading.run();
  } finally {
    reading.destroy();
  }
}

class Reading {
  readonly #options: ReadFeedbackOptions;
  readonly #decoder = new FeedbackDecoder();
  readonly #waiting: FeedbackTuple[] = [];
  readonly #socket: TLSSocket;
  readonly #timers: NodeJS.Timeout[] = [];
  #silence: NodeJS.Timeout | undefined;
  #isOpen = false;
  #isPaused = false;
  #end: { readonly result: FeedbackResult; readonly detail: string } | undefined;
  /** Wakes `run`, which stores. */
  #wake: () => void = () => undefined;

  constructor(options: ReadFeedbackOptions) {
    this.#options = options;
    // `onread` is documented for TLS as well, and missing in the types.
    const connectOptions: ConnectionOptions & { readonly onread: OnReadOpts } = {
      host: options.host,
      port: options.port,
      lookup: sharedLookup,
      ...verifying(options.serverName ?? options.host),
      cert: options.credential.cert,
      key: options.credential.key,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      onread: {
        buffer: Buffer.allocUnsafe(readBufferBytes),
        callback: (length, buffer) => this.#receive(buffer.subarray(0, length)),
      },
    };
    this.#socket = connect(connectOptions);
    const { connectTimeoutMs = 15_000, durationLimitMs = 900_000 } = options;
    this.#after(connectTimeoutMs, () => {
      if (!this.#isOpen) this.#finish('failed', `no connection within ${connectTimeoutMs} ms`);
    });
    this.#after(durationLimitMs, () =>
      this.#finish('timed-out', `not at the end after ${durationLimitMs} ms`),
    );
    this.#socket.on('secureConnect', () => {
      this.#isOpen = true;
      this.#expectData();
    });
    this.#socket.on('end', () => this.#peerEnded());
    this.#socket.on('error', (error) => this.#socketFailed(error));
    this.#socket.on('close', () =>
      this.#finish(this.#isOpen ? 'broken' : 'failed', 'the connection was closed'),
    );
    options.signal?.addEventListener('abort', this.#stop, { once: true });
    if (options.signal?.aborted === true) this.#stop();
  }

  async run(): Promise<FeedbackEnd> {
    const { onTuples, chunkTuples = 10_000 } = this.#options;
    let tuples = 0;
    for (;;) {
      // What gathers while one chunk is being stored is the next one.
      const chunk = this.#waiting.splice(0, chunkTuples);
      if (chunk.length > 0) {
        await onTuples(chunk);
        tuples += chunk.length;
        this.#resume();
      } else if (this.#end !== undefined) {
        return { ...this.#end, tuples, remainder: this.#decoder.remainder.subarray(0, maxRemainderBytes) };
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  destroy(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#silence);
    this.#options.signal?.removeEventListener('abort', this.#stop);
    this.#socket.destroy();
  }

  readonly #stop = (): void => this.#finish('stopped', 'stopped while reading');

  /** Returns whether to go on reading. */
  #receive(chunk: Uint8Array): boolean {
    if (this.#end !== undefined) return false;
    try {
      this.#decoder.push(chunk);
      for (let tuple = this.#decoder.next(); tuple !== undefined; tuple = this.#decoder.next()) {
        this.#waiting.push(tuple);
      }
    } catch (error) {
      this.#finish('broken', describeError(error));
      return false;
    }
    this.#isPaused = this.#waiting.length >= maxWaitingTuples;
    if (this.#isPaused) clearTimeout(this.#silence);
    else this.#expectData();
    this.#wake();
    return !this.#isPaused;
  }

  #resume(): void {
    if (!this.#isPaused || this.#waiting.length >= maxWaitingTuples / 2 || this.#end !== undefined) return;
    this.#isPaused = false;
    this.#expectData();
    this.#socket.resume();
  }

  #peerEnded(): void {
    const { length } = this.#decoder.remainder;
    if (!this.#isOpen) this.#finish('failed', 'the service closed the connection in the handshake');
    else if (length === 0) this.#finish('complete', 'the service closed after the last tuple');
    else this.#finish('truncated', `the service closed ${length} bytes into a tuple`);
  }

  #socketFailed(error: unknown): void {
    // With TLS 1.3 a refused certificate shows only after the handshake.
    const refused = !this.#isOpen || connectionEndOf(error) === 'credential-refused';
    this.#finish(refused ? 'failed' : 'broken', describeError(error));
  }

  #finish(result: FeedbackResult, detail: string): void {
    if (this.#end !== undefined) return;
    this.#end = { result, detail };
    clearTimeout(this.#silence);
    this.#socket.destroy();
    this.#wake();
  }

  #expectData(): void {
    const { silenceTimeoutMs = 30_000 } = this.#options;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(
      () => this.#finish('timed-out', `silent for ${silenceTimeoutMs} ms`),
      silenceTimeoutMs,
    );
  }

  #after(ms: number, fire: () => void): void {
    this.#timers.push(setTimeout(fire, ms));
  }
}
