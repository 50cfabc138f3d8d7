import { join } from 'node:path';
import { renderDashboards, writeDashboards } from './dashboards/dashboard-files.ts';
import { repositoryRoot } from './repository.ts';

// Writes ops/grafana/dashboards/ anew, from the code: `npm run dashboards`.

await writeDashboards(join(repositoryRoot, 'ops/grafana/dashboards'));
process.stdout.write(`wrote ${[...renderDashboards().keys()].join(', ')} to ops/grafana/dashboards\n`);
