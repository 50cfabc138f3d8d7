import { collectDefaultMetrics, Registry } from 'prom-client';

/** Gauges whose names end like a counter's. The same is told by `nodejs_active_handles` and the like, by type. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** A registry with what prom-client tells of the process: memory, processor, event loop, garbage collection. */
export function createRegister(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  for (const name of misnamed) register.removeSingleMetric(name);
  return register;
}
