import type { FeedbackTuple } from '@pushfleet/apns-wire';
import type { TlsCredential } from '../socket/credential.ts';

export interface ReadFeedbackOptions {
  readonly host: string;
  readonly port: number;
  /** Name that the service's certificate must carry; the host by default. */
  readonly serverName?: string;
  /** PEM of the authorities; by default those that Node.js trusts. */
  readonly ca?: string;
  readonly credential: TlsCredential;
  /**
   * Stores tuples; the next ones follow when it has resolved, and meanwhile the service is made to wait. Reading has
   * cleared them at the service, so it should not reject: what it was given, and all after it, would be lost.
   */
  readonly onTuples: (tuples: readonly FeedbackTuple[]) => Promise<void>;
  /** Tuples in one call of `onTuples` at most; 10,000 by default. */
  readonly chunkTuples?: number;
  /** Ends the reading; what has been read is given to `onTuples` all the same. */
  readonly signal?: AbortSignal;
  /** Until the handshake is through, milliseconds; 15,000 by default. */
  readonly connectTimeoutMs?: number;
  /** How long the service may be silent, milliseconds; 30,000 by default. */
  readonly silenceTimeoutMs?: number;
  /** For the whole reading, milliseconds; 15 minutes by default. */
  readonly durationLimitMs?: number;
}

/**
 * How a reading ended: `complete`, the service closed after the last tuple; `truncated`, it closed within one;
 * `broken`, the connection broke, or what came was no feedback; `timed-out`, a deadline passed after the handshake;
 * `stopped`, by the signal; `failed`, there was no connection, or the service refused the certificate.
 */
export type FeedbackResult = 'complete' | 'truncated' | 'broken' | 'timed-out' | 'stopped' | 'failed';

export interface FeedbackEnd {
  readonly result: FeedbackResult;
  /** For people and logs. */
  readonly detail: string;
  /** Tuples that were given to `onTuples`. */
  readonly tuples: number;
  /** Bytes that did not become a tuple. */
  readonly remainder: Uint8Array;
}
