import type { FleetApp } from '@pushfleet/service-kit';
import { Problem } from '../http/problem.ts';

/** @throws Problem `unknown-app` */
export function checkApp(apps: ReadonlyMap<string, FleetApp>, app: string): FleetApp {
  const known = apps.get(app);
  if (known !== undefined) return known;
  throw new Problem('unknown-app', `app: there is no app ${app}`, {
    errors: [{ field: 'app', message: `there is no app ${app}` }],
  });
}
