import type { SecureContext } from 'node:tls';
import type { NotificationCommand } from '@pushfleet/apns-wire';
import type { Clock } from '../clock.ts';
import type { ShutdownIdentifier } from './status-policy.ts';

/** What one binary connection needs to know. Times in milliseconds. */
export interface BinaryConnectionOptions {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Name that the gateway's certificate must carry; the host by default. */
  readonly serverName: string;
  readonly secureContext: SecureContext;
  readonly command: NotificationCommand;
  /** Frames written and not yet settled, at most. */
  readonly window: number;
  readonly connectTimeoutMs: number;
  /** A write that makes no progress for so long means that the gateway has stopped reading. */
  readonly writeStallMs: number;
  /** How long to go on reading for an error response after a write failed (PROTOCOL section 1). */
  readonly errorGraceMs: number;
  /** TCP keepalive: first probe after so much silence. */
  readonly keepAliveMs: number;
  readonly shutdownIdentifier: ShutdownIdentifier;
  readonly clock: Clock;
}
