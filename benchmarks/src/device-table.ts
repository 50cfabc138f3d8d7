import { openTokenStore } from '@pushfleet/token-store';
import { benchDeviceTokenSql } from './bench-devices.ts';
import { benchApp } from './fleet.ts';

/** Fills the device table of the app with devices that were registered just now. */
export async function fillDevices(connectionString: string, devices: number): Promise<void> {
  const store = openTokenStore({ connectionString, statementTimeoutMs: 600_000 });
  try {
    await store.database.query(
      `insert into devices (app, token, registered_at, created_at)
         select $1, ${benchDeviceTokenSql}, now(), now() from generate_series(1, $2::int) i`,
      [benchApp, devices],
    );
    await store.database.query('vacuum analyze devices');
  } finally {
    await store.close();
  }
}
