import { connections } from './connections.ts';
import type { DashboardPlan } from './dashboard.ts';
import { delivery } from './delivery.ts';
import { devices } from './devices.ts';
import { overview } from './overview.ts';
import { queues } from './queues.ts';
import { runtime } from './runtime.ts';

export const allDashboards: readonly DashboardPlan[] = [
  overview,
  delivery,
  connections,
  queues,
  devices,
  runtime,
];
