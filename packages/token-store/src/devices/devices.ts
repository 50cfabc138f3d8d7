import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import type { Database, Statements } from '../database.ts';
import type {
  DeactivationSource,
  Device,
  DeviceChange,
  DeviceRegistration,
  RegistrationResult,
} from './device.ts';
import { registerDevices } from './register-devices.ts';

/** The device table of all apps. Every method throws TokenStoreError. */
export interface Devices {
  /** Registers a device, or refreshes its registration: after that it is active. */
  register(app: string, registration: DeviceRegistration): Promise<RegistrationResult>;
  /** The same for many, in one statement; of a token that comes twice the last one counts. */
  registerMany(app: string, registrations: readonly DeviceRegistration[]): Promise<RegistrationResult[]>;
  /** Removes a device at its app's wish, and whose it was from its history; false: there was none. */
  unregister(app: string, token: DeviceToken): Promise<boolean>;
  get(app: string, token: DeviceToken): Promise<Device | undefined>;
  /** All devices of a user, inactive ones too, in the order of their tokens. `after`: the token after which to begin. */
  ofUser(
    app: string,
    userId: string,
    options: { after?: DeviceToken | undefined; limit: number },
  ): Promise<Device[]>;
  /** Active devices of several users, `limit` at most. */
  findTokensOfUsers(
    app: string,
    userIds: readonly string[],
    limit: number,
  ): Promise<{ userId: string; token: DeviceToken }[]>;
  /** What happened to a token, the newest first, 1,000 at most. */
  history(app: string, token: DeviceToken): Promise<DeviceChange[]>;
}

const unregisterSql = `
with removed as (
  delete from devices where app = $1 and token = $2 returning token
), forgotten as (
  update device_changes set detail = null
  where app = $1 and token = $2 and kind = 'moved' and exists (select from removed)
)
insert into device_changes (app, token, kind) select $1, token, 'unregistered' from removed`;

const bytes = (token: DeviceToken) => Buffer.from(token, 'hex');

/** False: there is no such device. @throws TokenStoreError */
export async function unregisterDevice(
  database: Statements,
  app: string,
  token: DeviceToken,
): Promise<boolean> {
  const { rowCount } = await database.query(unregisterSql, [app, bytes(token)]);
  return rowCount === 1;
}

export function createDevices(database: Database): Devices {
  return {
    async register(app, registration) {
      const [result] = await registerDevices(database, app, [registration]);
      return result!;
    },
    registerMany: (app, registrations) => registerDevices(database, app, registrations),
    unregister: (app, token) => unregisterDevice(database, app, token),
    async get(app, token) {
      const { rows } = await database.query<DeviceRow>(
        `select ${deviceColumns} from devices where app = $1 and token = $2`,
        [app, bytes(token)],
      );
      return rows.map(toDevice)[0];
    },
    async ofUser(app, userId, { after, limit }) {
      const { rows } = await database.query<DeviceRow>(
        `select ${deviceColumns} from devices where app = $1 and user_id = $2 and devices.token > $3
         order by devices.token limit $4`,
        [app, userId, Buffer.from(after ?? '', 'hex'), limit],
      );
      return rows.map(toDevice);
    },
    async findTokensOfUsers(app, userIds, limit) {
      const { rows } = await database.query<{ userId: string; token: DeviceToken }>(
        `select user_id as "userId", encode(token, 'hex') as token from devices
         where app = $1 and user_id = any($2::text[]) and active limit $3`,
        [app, userIds, limit],
      );
      return rows;
    },
    async history(app, token) {
      const { rows } = await database.query<DeviceChange>(
        `select id::text, at, kind, source, status, evidence_at as "evidenceAt", detail from device_changes
         where app = $1 and token = $2 order by id desc limit 1000`,
        [app, bytes(token)],
      );
      return rows;
    },
  };
}

/** The columns of a device as `toDevice` takes them. */
const deviceColumns = `app, encode(token, 'hex') as token, user_id, tags, locale, time_zone, registered_at,
  created_at, active, deactivated_at, deactivated_source, deactivated_status, evidence_at`;

interface DeviceRow {
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

function toDevice(row: DeviceRow): Device {
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
