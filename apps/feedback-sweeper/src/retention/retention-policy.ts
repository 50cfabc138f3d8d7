import { ConfigError, readVariables, retentionVariables } from '@pushfleet/service-kit';
import type { RetentionPolicy } from '@pushfleet/token-store';

/** Reads how long things are kept from the environment. @throws ConfigError with all problems at once */
export function readRetentionPolicy(env: NodeJS.ProcessEnv): RetentionPolicy {
  const { values, problems } = readVariables(env, retentionVariables);
  if (values === undefined) throw new ConfigError(problems);
  return {
    batchesMs: values.PUSHFLEET_RETENTION_BATCHES,
    feedbackMs: values.PUSHFLEET_RETENTION_FEEDBACK,
    changesMs: values.PUSHFLEET_RETENTION_CHANGES,
    eventsMs: values.PUSHFLEET_RETENTION_EVENTS,
    inactiveDevicesMs: values.PUSHFLEET_RETENTION_INACTIVE_DEVICES,
    auditMs: values.PUSHFLEET_RETENTION_AUDIT,
  };
}
