import { endedConnections } from './rows/ended-connections.ts';
import { illConnections } from './rows/ill-connections.ts';
import { illWorkers } from './rows/ill-workers.ts';
import { singleNotifications } from './rows/single-notifications.ts';
import { spells } from './rows/spells.ts';
import { wrongSilence } from './rows/wrong-silence.ts';
import type { Row } from './run-row.ts';

export const rows: readonly Row[] = [
  ...endedConnections,
  ...wrongSilence,
  ...illConnections,
  ...spells,
  ...illWorkers,
  ...singleNotifications,
];
