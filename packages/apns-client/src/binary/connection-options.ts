import type { NotificationCommand } from '@pushfleet/apns-wire';
import type { Clock } from '../clock.ts';
import type { GatewaySocketOptions, OpenGatewaySocket } from './gateway-socket.ts';
import type { ShutdownIdentifier } from './status-policy.ts';
import type { Stretch } from './write-ahead.ts';

/** What one binary connection needs to know. Times in milliseconds. */
export interface BinaryConnectionOptions extends GatewaySocketOptions {
  readonly id: string;
  readonly command: NotificationCommand;
  /** Frames written and not yet settled, at most. */
  readonly window: number;
  /** How much may be written before an answer is waited for. */
  readonly stretch: Stretch;
  readonly connectTimeoutMs: number;
  /** A write that makes no progress for so long means that the gateway has stopped reading. */
  readonly writeStallMs: number;
  /** How long to go on reading for an error response after a write failed (`docs/protocol/binary.md#late-errors`). */
  readonly errorGraceMs: number;
  readonly shutdownIdentifier: ShutdownIdentifier;
  readonly clock: Clock;
  readonly openSocket: OpenGatewaySocket;
  /** Identifier of the first frame; other than 1 only to reach the wrap in tests. */
  readonly firstIdentifier?: number;
}
