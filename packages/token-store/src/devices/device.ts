import type { DeviceToken } from '@pushfleet/apns-wire/device-token';

/** A device of an app, as the table has it. */
export interface Device {
  readonly app: string;
  readonly token: DeviceToken;
  readonly userId: string | null;
  readonly tags: readonly string[];
  readonly locale: string | null;
  readonly timeZone: string | null;
  /** When the app last registered it, on the database's clock. */
  readonly registeredAt: Date;
  readonly createdAt: Date;
  readonly active: boolean;
  /** Why it is not active; null while it is. */
  readonly deactivation: Deactivation | null;
}

/**
 * Whose word it was: `feedback`, the feedback service; `unregistered`, a 410; `invalid-token`, status 8 or
 * BadDeviceToken. A closed set, usable as a metric label.
 */
export const deactivationSources = ['feedback', 'unregistered', 'invalid-token'] as const;
export type DeactivationSource = (typeof deactivationSources)[number];

export interface Deactivation {
  readonly at: Date;
  readonly source: DeactivationSource;
  /** The raw status: of the error response, or of HTTP; null for the feedback service. */
  readonly status: number | null;
  /** What the last registration was older than. */
  readonly evidenceAt: Date;
}

/** What an app tells of a device. A field left out stays as it is, `null` clears it. */
export interface DeviceRegistration {
  readonly token: DeviceToken;
  /** The token that this one replaces: what is known of it is taken over, and it is removed. */
  readonly previousToken?: DeviceToken;
  readonly userId?: string | null;
  readonly tags?: readonly string[];
  readonly locale?: string | null;
  readonly timeZone?: string | null;
  /**
   * For imports: when the app registered it. Without it, now. An older time neither sets a newer one back nor brings a
   * device back that went away after it; one that is ahead is now.
   */
  readonly registeredAt?: Date;
}

/** What a registration changed. */
export interface RegistrationResult {
  readonly token: DeviceToken;
  readonly created: boolean;
  readonly reactivated: boolean;
  /** It belonged to another user before. */
  readonly moved: boolean;
  /** The previous token was in the table and is gone. */
  readonly replaced: boolean;
}

/** One line of a device's history. */
export interface DeviceChange {
  readonly id: string;
  readonly at: Date;
  readonly kind: DeviceChangeKind;
  readonly source: DeactivationSource | null;
  readonly status: number | null;
  readonly evidenceAt: Date | null;
  readonly detail: Readonly<Record<string, unknown>> | null;
}

export type DeviceChangeKind =
  | 'registered'
  | 'reactivated'
  /** To another user. */
  | 'moved'
  /** Tags, locale or time zone. */
  | 'updated'
  /** By another token, which `detail` names. */
  | 'replaced'
  | 'unregistered'
  | 'deactivated'
  /** Long inactive. */
  | 'removed';
