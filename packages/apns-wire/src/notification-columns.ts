/**
 * Notifications of one run, column by column: what the encoders read.
 *
 * A run is up to 65,535 notifications that share their arrays, so that the hot path touches typed arrays and
 * never an object per notification. Position `p` runs from 0 to `count - 1`.
 */
export interface NotificationColumns {
  /** Number of notifications. */
  readonly count: number;
  /** Device tokens, back to back. */
  readonly tokens: Uint8Array;
  /** Where each token starts in `tokens`; `count + 1` entries, so that token `p` ends where `p + 1` starts. */
  readonly tokenOffsets: Uint32Array;
  /** The distinct payloads, UTF-8 JSON, back to back. */
  readonly payloads: Uint8Array;
  /** Where each distinct payload starts in `payloads`; one entry more than there are payloads. */
  readonly payloadOffsets: Uint32Array;
  /** Which distinct payload notification `p` carries; `count` entries. */
  readonly payloadOf: Uint16Array;
  /** Expiration per notification, epoch seconds; 0: do not store (`docs/protocol/binary.md#expiration`). */
  readonly expirations: Uint32Array;
  /** Priority per notification: 10, 5, or 1 (1 on HTTP/2 only). */
  readonly priorities: Uint8Array;
}
