import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import type { DeactivationSource, Device } from './device.ts';

/** The columns of a device as `toDevice` takes them. */
export const deviceColumns = `app, encode(token, 'hex') as token, user_id, tags, locale, time_zone, registered_at,
  created_at, active, deactivated_at, deactivated_source, deactivated_status, evidence_at`;

export interface DeviceRow {
  readonly app: string;
  readonly token: DeviceToken;
  readonly user_id: string | null;
  readonly tags: string[];
  readonly locale: string | null;
  readonly time_zone: string | null;
  readonly registered_at: Date;
  readonly created_at: Date;
  readonly active: boolean;
  readonly deactivated_at: Date | null;
  readonly deactivated_source: DeactivationSource | null;
  readonly deactivated_status: number | null;
  readonly evidence_at: Date | null;
}

export function toDevice(row: DeviceRow): Device {
  return {
    app: row.app,
    token: row.token,
    userId: row.user_id,
    tags: row.tags,
    locale: row.locale,
    timeZone: row.time_zone,
    registeredAt: row.registered_at,
    createdAt: row.created_at,
    active: row.active,
    deactivation: row.active
      ? null
      : {
          at: row.deactivated_at!,
          source: row.deactivated_source!,
          status: row.deactivated_status,
          evidenceAt: row.evidence_at!,
        },
  };
}
