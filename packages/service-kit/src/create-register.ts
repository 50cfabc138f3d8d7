import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import { droppedLines } from './log/log-output.ts';

/** Gauges whose names end like a counter's. The same is told by `nodejs_active_handles` and the like, by type. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/**
 * A registry with what prom-client tells of the process: memory, processor, event loop, garbage collection; and with
 * the log lines that nobody read in time.
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
  return register;
}
