import type { ChannelErrorCode } from '@pushfleet/apns-client';

/** What the program itself reports; stable, for scripts. */
export type CliErrorCode =
  /** An option is missing, or does not go with another: exit code 2. */
  | 'usage'
  | 'file-exists'
  | 'file-not-written'
  | 'app-unknown'
  | 'key-unknown'
  | 'letter-unknown'
  | 'file-unreadable'
  | 'redis-unavailable'
  /** The fleet is of a newer version than the program. */
  | 'version-older'
  | 'upgrade-unfinished'
  /** A call about a broadcast channel failed. */
  | `channel-${ChannelErrorCode}`;

/** A command cannot do its work; the message says why and what to do about it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
