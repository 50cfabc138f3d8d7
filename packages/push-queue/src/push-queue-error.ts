import type { QuotaRefusal } from './quota.ts';
import { stripArguments } from './strip-arguments.ts';

/** Everything that can go wrong with a call of this package; stable, usable as a metric label. */
export type PushQueueErrorCode =
  /** The call's data are at fault: `field` names where. */
  | 'invalid-notification'
  | 'unknown-app'
  /** The idempotency key was used for something else. */
  | 'idempotency-conflict'
  /** Too much waits to be written: try again later. */
  | 'backpressure'
  /** The app has as much in its queues as its quota allows: `quota` says what. */
  | 'quota-exceeded'
  /** Redis cannot be reached, or refuses to write. */
  | 'redis-unavailable'
  /** Redis has not answered in time. */
  | 'redis-timeout'
  | 'closed';

export interface PushQueueErrorOptions extends ErrorOptions {
  readonly field?: string;
  readonly maybeStored?: boolean;
  readonly quota?: QuotaRefusal;
}

export class PushQueueError extends Error {
  override readonly name = 'PushQueueError';
  readonly code: PushQueueErrorCode;
  /** Path of the field at fault, such as `notifications[3].token`. */
  readonly field: string | undefined;
  /**
   * Redis may have stored it nevertheless: the connection broke, or the deadline passed, after the write was sent.
   * Calling again with the same idempotency key is safe; without one it may send twice.
   */
  readonly maybeStored: boolean;

  /** Of `quota-exceeded`. */
  readonly quota: QuotaRefusal | undefined;

  constructor(code: PushQueueErrorCode, message: string, options: PushQueueErrorOptions = {}) {
    super(message, options.cause === undefined ? options : { cause: stripArguments(options.cause) });
    this.code = code;
    this.field = options.field;
    this.maybeStored = options.maybeStored ?? false;
    this.quota = options.quota;
  }
}
