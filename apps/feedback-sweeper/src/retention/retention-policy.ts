import { ConfigError, durationSchema } from '@pushfleet/service-kit';
import { defaultRetention, minBatchesMs, type RetentionPolicy } from '@pushfleet/token-store';

const variables = {
  PUSHFLEET_RETENTION_BATCHES: 'batchesMs',
  PUSHFLEET_RETENTION_FEEDBACK: 'feedbackMs',
  PUSHFLEET_RETENTION_CHANGES: 'changesMs',
  PUSHFLEET_RETENTION_EVENTS: 'eventsMs',
  PUSHFLEET_RETENTION_INACTIVE_DEVICES: 'inactiveDevicesMs',
  PUSHFLEET_RETENTION_AUDIT: 'auditMs',
} as const satisfies Readonly<Record<string, keyof RetentionPolicy>>;

/** Reads how long things are kept from the environment. @throws ConfigError with all problems at once */
export function readRetentionPolicy(env: NodeJS.ProcessEnv): RetentionPolicy {
  const problems: { field: string; message: string }[] = [];
  const policy: Record<keyof RetentionPolicy, number> = { ...defaultRetention };
  for (const [field, name] of Object.entries(variables)) {
    const text = env[field] || undefined;
    if (text === undefined) continue;
    const parsed = durationSchema.safeParse(text);
    if (!parsed.success) problems.push({ field, message: parsed.error.issues[0]!.message });
    else if (name === 'batchesMs' && parsed.data < minBatchesMs) {
      problems.push({ field, message: 'must be at least 35d: sends are scheduled for up to 30 days' });
    } else policy[name] = parsed.data;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return policy;
}
