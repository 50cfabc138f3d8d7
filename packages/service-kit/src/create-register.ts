import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { readBuildInfo } from './build-info.ts';
import { droppedLines } from './log/log-output.ts';

/** Gauges whose names end like a counter's. The same is told by `nodejs_active_handles` and the like, by type. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/**
 * A registry with what prom-client tells of the process (memory, processor, event loop, garbage collection), with the log
 * lines that nobody read in time, and with which build it is.
 */
export function createRegister(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  for (const name of misnamed) register.removeSingleMetric(name);
  const dropped = new Counter({
    name: 'pushfleet_log_lines_dropped_total',
    help: 'Log lines that found no room while nobody read the output',
    registers: [register],
    collect() {
      dropped.reset();
      dropped.inc(droppedLines());
    },
  });
  const { version, commit, node } = readBuildInfo();
  new Gauge({
    name: 'pushfleet_build_info',
    help: 'Which build runs: its version, the commit it was built from, and Node.js. Always 1.',
    labelNames: ['version', 'commit', 'node'],
    registers: [register],
  }).set({ version, commit, node }, 1);
  return register;
}
